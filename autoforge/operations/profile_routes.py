"""Profiles for programs: asking for one, the list, and one as a tree or for speedscope. For admins only."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from autoforge.access.deps import Who
from autoforge.errors import NotFound
from autoforge.operations import profiling
from autoforge.telemetry.profiles import PROFILES, speedscope
from autoforge.web.conditional import etag, not_modified
from autoforge.web.responses import budget, json_response

router = APIRouter(prefix="/operations/profiles", tags=["operations"])

Profile = Annotated[str, Path(pattern="^[0-9a-f]{13}$", description="The id of a profile.")]


class ProfileIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["request", "server", "job"]
    what: str = Field(
        max_length=500,
        description="server: for how many seconds; job: the name of the task whose next run is profiled; request: how "
        "the address of the next one begins.",
    )


class ProfileAsked(BaseModel):
    detail: str


@router.get("", summary="List profiles", openapi_extra=budget(0))
async def list_profiles(actor: Who) -> Response:
    """The last twenty of this host, newest first, and what is ordered or being made here."""
    await written()
    running = PROFILES.running
    now = None if running is None else {"kind": running.kind, "what": running.what, "by": running.by}
    return json_response({"items": PROFILES.kept(), "running": now, "ordered": PROFILES.ordered()})


@router.post("", response_model=ProfileAsked, status_code=202, summary="Ask for a profile")
async def ask_for_profile(asked: ProfileIn, actor: Who) -> Response:
    """Of the server for some seconds; of the next run of a task, or the next request to an address.

    A request that carries the header `X-Profile` is profiled at once, when it is an admin's; its answer's header
    `X-Profile` says where the profile will be found. One at a time.
    """
    return json_response({"detail": profiling.ask(asked.kind, asked.what, actor.user_name)}, 202)


@router.get("/{profile}", summary="Read a profile", openapi_extra=budget(0))
async def read_profile(
    request: Request,
    profile: Profile,
    actor: Who,
    format: Annotated[Literal["json", "speedscope"], Query(description="The tree, or a file for speedscope.")] = "json",
) -> Response:
    """What it spent its time on, function by function."""
    await written()
    found = of(profile)
    tag = etag(profile, format)  # a profile never changes
    if (known := not_modified(request, tag)) is not None:
        return known
    name = f"profile-{profile}.{'speedscope.' if format == 'speedscope' else ''}json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "ETag": tag}
    return json_response(speedscope(found) if format == "speedscope" else found, headers=headers)


async def written() -> None:
    """Returns once the profiles that this process has made are files."""
    await asyncio.to_thread(PROFILES.settle)


def of(profile: str) -> dict[str, Any]:
    found = PROFILES.get(profile)
    if found is None:
        raise NotFound("This profile is not kept any more, or it is still being made.")
    return found
