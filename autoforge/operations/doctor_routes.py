"""The doctor for programs: starting a review, and reading the latest report. For admins only."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from autoforge.access.deps import Who
from autoforge.operations import examining
from autoforge.web.deps import Db
from autoforge.web.responses import budget, json_response

router = APIRouter(prefix="/operations/doctor", tags=["operations"])


class ReviewStarted(BaseModel):
    job_id: str


@router.get("", summary="Read the latest review", openapi_extra=budget(1))
async def read_review(database: Db, actor: Who) -> Response:
    """`report` is what `autoforge doctor --json` prints: findings by harm, with evidence, remedy and proof; null before
    the first review. `live` says whether one is going on."""
    async with database.read() as session:
        return json_response(await examining.state(session))


@router.post("", response_model=ReviewStarted, status_code=202, summary="Start a review")
async def start_review(database: Db, actor: Who) -> Response:
    """As a job, in a process of its own; it reads only. 409 while one is going on."""
    async with database.write() as session:
        job_id = await examining.start(session, actor)
    return json_response({"job_id": str(job_id)}, 202, headers={"Location": f"/api/v1/jobs/{job_id}"})
