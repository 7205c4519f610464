"""Merging a branch for people: what the merge brings, conflicts as choices, and saving it.

Nothing is remembered between the page and its form: the form says which versions were looked at, and the merge is
made again with the choices. If a branch has moved since, the page comes back as things are now.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from autoforge.access import Actor
from autoforge.access.deps import Who
from autoforge.db import Database, ReadSession
from autoforge.errors import BadInput, Conflict, steps_of
from autoforge.prompts import merge_queries, queries, version_commands, views
from autoforge.prompts.commands import MAIN
from autoforge.prompts.diff import MISSING
from autoforge.prompts.merge import Conflict as Disagreement
from autoforge.prompts.merge import merge
from autoforge.prompts.merge_queries import Sides
from autoforge.prompts.schemas import VersionMessage
from autoforge.reading import Source
from autoforge.reading.documents import parse_json
from autoforge.web.deps import Db
from autoforge.web.forms import PageId, Typed, checked, whole
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.responses import budget

router = APIRouter(prefix="/w/{workspace}/prompts/{prompt_id}/merge")

BranchName = Annotated[str, Query(max_length=200)]
_SIDES = ("ours", "theirs", "base")
_UNDECIDED = "Choose one"


@router.get("", openapi_extra=budget(4))
async def look_at_merge(
    prompt_id: PageId, request: Request, database: Db, actor: Who, theirs: BranchName = "", ours: BranchName = MAIN
) -> Response:
    async with database.read() as session:
        if not theirs:  # the form that asks which is on another page
            await queries.one(session, actor.workspace_id, prompt_id)
            return RedirectResponse(Links(actor.workspace_slug).prompt(prompt_id, "versions"), status_code=303)
        prompt, sides = await _read(session, actor, prompt_id, ours, theirs)
    return await _page(request, prompt, sides, {}, {})


@router.post("")
async def save_merge(prompt_id: PageId, request: Request, database: Db, actor: Who, fields: Typed) -> Response:
    ours, theirs = fields.get("ours", MAIN), fields.get("theirs", "")
    async with database.read() as session:
        prompt, sides = await _read(session, actor, prompt_id, ours, theirs)
    choices, errors = await asyncio.to_thread(_choices, sides, fields)
    if not errors:
        try:
            merged = await _merge(database, actor, prompt_id, choices, fields)
            address = Links(actor.workspace_slug).prompt(prompt_id, "versions")
            return seen(address, f"Merged {theirs} into {ours}, which is at v{merged} now.")
        except (BadInput, Conflict) as error:
            errors = {"": error.detail}
    return await _page(request, prompt, sides, fields, errors)


async def _read(
    session: ReadSession, actor: Actor, prompt_id: UUID, ours: str, theirs: str
) -> tuple[dict[str, Any], Sides]:
    prompt = await queries.one(session, actor.workspace_id, prompt_id)
    return views.framed(prompt), await merge_queries.sides(session, prompt_id, ours, theirs)


async def _merge(
    database: Database, actor: Actor, prompt_id: UUID, choices: Mapping[str, Any], fields: Mapping[str, str]
) -> int:
    """The number that the branch is at after the merge. Conflict when it is not the merge that was looked at."""
    source, into = fields.get("theirs", ""), fields.get("ours", MAIN)
    message = checked(VersionMessage, {"message": fields.get("message", "")}).message
    expected = whole(fields, "ours_number"), whole(fields, "theirs_number")
    async with database.write() as session:
        merged = await version_commands.merge_branches(
            session, actor, prompt_id, source=source, into=into, choices=choices, message=message, expected=expected
        )
    if merged.saved is None:
        raise Conflict("Some places are still undecided: choose what each of them says.")
    return merged.saved.number


async def _page(
    request: Request, prompt: Mapping[str, Any], sides: Sides, fields: Mapping[str, str], errors: Mapping[str, str]
) -> Response:
    shown = await asyncio.to_thread(_shown, sides, fields)  # comparing long texts takes a while
    message = fields.get("message", f"Merge {sides.theirs.branch}")
    context = {"prompt": prompt, **shown, "message": message, "errors": errors}
    return page(request, "prompts/merge.html", context, status=422 if errors else 200)


def _shown(sides: Sides, fields: Mapping[str, str]) -> dict[str, Any]:
    three = (sides.base.content, sides.ours.content, sides.theirs.content)
    conflicts = merge(*three).conflicts
    settled = merge(*three, choices={conflict.key: "ours" for conflict in conflicts}).content
    return {
        "ours": sides.ours,
        "theirs": sides.theirs,
        "base": sides.base,
        "merged": views.difference(sides.ours.content, settled)["parts"] if settled is not None else [],
        "conflicts": [_conflict(conflict, fields) for conflict in conflicts],
    }


def _conflict(conflict: Disagreement, fields: Mapping[str, str]) -> dict[str, Any]:
    texts = {side: _text(getattr(conflict, side)) for side in _SIDES}
    typed = fields.get(f"text-{conflict.key}", texts["ours"])
    choice = fields.get(f"choice-{conflict.key}", "")
    return {"key": conflict.key, "title": _title(conflict.key), **texts, "text": typed, "choice": choice}


def _text(value: Any) -> str:
    if value is MISSING:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _title(key: str) -> str:
    """A conflict's place for people: ``/messages/0/content#2`` is "Message 1, content (place 2)"."""
    pointer, _, number = key.partition("#")
    parts = steps_of(pointer.rstrip("/"))
    if parts[0] == "messages" and len(parts) > 1 and parts[1].isdecimal():
        before = len(parts) > 2 and parts[2] == "before"
        place = f"New message before message {int(parts[1]) + 1}" if before else f"Message {int(parts[1]) + 1}"
        parts = [place, *parts[3 if before else 2 :]]
    title = ", ".join(parts).replace("_", " ")
    return f"{title[:1].upper()}{title[1:]}{f' (place {number})' if number else ''}"


def _choices(sides: Sides, fields: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """What was chosen for each conflict, and what is wrong with it."""
    choices: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for conflict in merge(sides.base.content, sides.ours.content, sides.theirs.content).conflicts:
        chosen = fields.get(f"choice-{conflict.key}")
        try:
            if chosen == "text":
                choices[conflict.key] = {"value": _written(conflict, fields.get(f"text-{conflict.key}", ""))}
            elif chosen in _SIDES:
                choices[conflict.key] = chosen
            else:
                errors[f"choice-{conflict.key}"] = _UNDECIDED
        except BadInput as error:
            errors[f"choice-{conflict.key}"] = error.detail
    return choices, errors


def _written(conflict: Disagreement, text: str) -> Any:
    """A text of one's own: lines where lines are in conflict, else JSON."""
    sides = [side for side in (conflict.base, conflict.ours, conflict.theirs) if side is not MISSING]
    if not all(isinstance(side, str) for side in sides):
        return parse_json(text, Source.of(b"", "This"))
    ends_line = bool(text) and not text.endswith("\n") and all(side.endswith("\n") for side in sides if side)
    return text + "\n" if ends_line else text
