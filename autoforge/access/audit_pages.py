"""The audit log for people."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from autoforge.access import audit_queries, audit_subjects
from autoforge.access.deps import Who
from autoforge.web.deps import Db
from autoforge.web.html import page
from autoforge.web.paging import After, pager
from autoforge.web.responses import budget

router = APIRouter(prefix="/w/{workspace}/audit")

PER_PAGE = 50
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")


@router.get("", openapi_extra=budget(3))
async def audit_log(
    request: Request,
    database: Db,
    actor: Who,
    subject: Annotated[str, Query(max_length=100)] = "",
    by: UUID | None = None,
    everywhere: str = "",
    after: After = None,
) -> Response:
    """What was done in the workspace; for admins also on the whole server."""
    asked = audit_queries.Asked(subject_id=subject or None, everywhere=bool(everywhere), actor_id=by)
    async with database.read() as session:
        found = await audit_queries.page(session, actor, asked, PER_PAGE, after)
        chain = await audit_queries.head(session)
        names = await audit_subjects.names(session, found.rows)
    is_admin = actor.may("server:admin")
    entries = [_shown(row) | {"about": audit_subjects.subject(row, names, is_admin)} for row in found.rows]
    newest: dict[str, Any] = entries[0] if entries else {"about": {"name": ""}, "actor_name": ""}
    context: dict[str, Any] = {"entries": entries, "everywhere": asked.everywhere, "chain": chain}
    context |= {"subject": subject and (newest["about"]["name"] or subject), "by": by and (newest["actor_name"] or by)}
    context["pager"] = pager(found.next, len(found.rows))
    return page(request, "access/audit.html", context)


def _shown(row: Any) -> dict[str, Any]:
    facts = [(name, _text(value)) for name, value in json.loads(row.detail).items()]
    return {**row._mapping, "facts": facts}


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(_brief, value)) if isinstance(value, list) else _brief(value)


def _brief(value: Any) -> str:
    """Ids by their end, as subjects are, and moments to the minute; the export has them whole."""
    text = str(value)
    if _ID.fullmatch(text):
        return text[-6:]
    return text[:16].replace("T", " ") if _MOMENT.fullmatch(text) else text
