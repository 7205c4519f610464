"""Profiles for people: asking for one, and a tree that unfolds. For admins only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from autoforge.access import Actor
from autoforge.access.deps import Who
from autoforge.errors import AutoforgeError, BadInput
from autoforge.operations import profiling
from autoforge.operations.profile_routes import Profile, of, written
from autoforge.telemetry.profiles import PROFILES, Tree, hottest
from autoforge.web.forms import Posted
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.responses import budget

router = APIRouter(prefix="/operations/profiles")

_NOTHING = 0.01
"""The share of the whole under which a function of a library did nothing but call another."""


@router.get("", openapi_extra=budget(0))
async def profiles(request: Request, actor: Who) -> Response:
    await written()
    return _list(request, {}, "")


def _list(request: Request, values: Mapping[str, str], error: str, status: int = 200) -> Response:
    running = PROFILES.running
    context = {
        "profiles": [_moment(one) for one in PROFILES.kept()],
        "running": None if running is None else {"kind": running.kind, "what": running.what},
        "ordered": PROFILES.ordered(),
        "tasks": [(task.name, task.title or task.name) for task in profiling.profilable()],
        "values": values,
        "error": error,
    }
    return page(request, "operations/profiles.html", context, status=status)


def _moment(one: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, "at": datetime.fromtimestamp(one["at"], UTC)}


@router.post("")
async def ask(request: Request, actor: Who, fields: Posted) -> Response:
    kind = fields.get("kind", "")
    try:
        text = profiling.ask(kind, fields.get(f"{kind}-what", "").strip(), actor.user_name)
    except BadInput as error:
        return _list(request, fields, error.detail, 422)
    except AutoforgeError as error:
        return _back(actor, error.detail, "failed")
    return _back(actor, text)


@router.post("/cancel")
async def cancel(actor: Who) -> Response:
    """What was ordered is not made any more."""
    PROFILES.cancel()
    return _back(actor, "No profile is ordered any more.")


def _back(actor: Actor, text: str, kind: str = "done") -> Response:
    return seen(Links(actor.workspace_slug).operations("profiles"), text, kind)


@router.get("/cancel", openapi_extra=budget(0))
async def cancel_address(actor: Who) -> Response:
    """What the form posts to, opened by hand, leads to the page with the form; it is no profile's id."""
    return RedirectResponse(Links(actor.workspace_slug).operations("profiles"), status_code=303)


@router.get("/{profile}", openapi_extra=budget(0))
async def profile(request: Request, actor: Who, profile: Profile) -> Response:
    await written()
    found = _moment(of(profile))
    tree = found.pop("tree")
    context = {"profile": found, "tree": folded(tree), "hottest": hottest(tree)}
    return page(request, "operations/profile.html", context)


def folded(tree: Tree) -> Tree:
    """The tree as it is shown: functions of libraries that only called one other are counted in ``through``."""
    least = _NOTHING * (tree["seconds"] or 1.0)
    top: Tree = {"children": []}
    waiting = [(tree, top)]
    while waiting:
        node, parent = waiting.pop()
        through = 0
        while _only_calls(node, least):
            node, through = node["children"][0], through + 1
        shown = {**node, "share": node["seconds"] / (tree["seconds"] or 1.0), "through": through, "children": []}
        parent["children"].append(shown)
        waiting.extend((child, shown) for child in reversed(node["children"]))
    first: Tree = top["children"][0]
    return first


def _only_calls(node: Tree, least: float) -> bool:
    ours = node["place"].startswith("autoforge/")
    return not ours and len(node["children"]) == 1 and node["own"] + node["waiting"] < least
