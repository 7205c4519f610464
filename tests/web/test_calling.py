"""Read routes are called as the framework calls them, and only by it where something is unusual."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from autoforge.app import create
from autoforge.web.calling import call_of
from autoforge.web.directory import Directory
from tests.web.site import Site, opened, settings

LEFT = {
    "/api/v1/prompts/export",
    "/api/v1/evaluations/{evaluation_id}/export",
    "/w/{workspace}/people/import/{key}",
    "/w/{workspace}/prompts/{prompt_id}/edit",
}
"""Parameters that may be there several times, or whose default is not plain."""
QUERIES = (
    "",
    "limit=2",
    "limit=1&limit=2",
    "limit=0&sort=no",
    "limit=x",
    "after=no",
    "fields=id&sort=-name",
    "fields=",
    "q=&status=active&outcome=pass",
    "unknown=1",
    "a=1&b=%00",
    "position=1&after=&outcome=%ff",
)


def reads(app: Any) -> list[Any]:
    routes = [one._route_context for one in iter_route_contexts(app.router.routes) if one._route_context is not None]
    return [route for route in routes if "GET" in (route.methods or ())]


def test_nearly_all_read_routes_are_called_directly(tmp_path: Path) -> None:
    routes = reads(create(settings(tmp_path)))
    left = {route.path_format for route in routes if call_of(route) is None}
    assert len(routes) > 90
    assert left == LEFT


def told(response: Any) -> tuple[Any, ...]:
    """All but what is different each time."""
    unlike = {"x-request-id", "server-timing", "ratelimit", "date"}
    headers = {name: value for name, value in response.headers.items() if name not in unlike}
    body = response.content
    if response.headers.get("content-type") == "application/problem+json":
        body = {name: value for name, value in response.json().items() if name != "request_id"}
    return response.status_code, headers, body


async def test_answers_are_those_of_the_framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(settings(tmp_path)) as site:
        ours = await answers(site)
        monkeypatch.setattr("autoforge.web.directory.call_of", lambda route: None)
        monkeypatch.setattr(site.app.router, "middleware_stack", Directory(site.app.router))
        theirs = await answers(site)
    assert len(ours) > 900
    for address, answer in ours.items():
        assert answer == theirs[address], address


async def answers(site: Site) -> dict[tuple[str, str], Any]:
    """To one who may ask, and to nobody."""
    found = {}
    for address in addresses(site):
        for who, headers in ("mine", site.mine), ("nobody", {"Authorization": ""}):
            found[who, address] = told(await site.client.get(address, headers=headers))
    return found


def addresses(site: Site) -> list[str]:
    """Of each route, with ids that are there or none; what changes while one looks is left out."""
    every = []
    for route in reads(site.app):
        path = route.path_format.replace("{workspace}", "main")
        for value in ("1", str(site.owner.user_id)):
            filled = "/".join(value if part.startswith("{") else part for part in path.split("/"))
            every += [f"{filled}?{query}" for query in QUERIES]
    return [
        each
        for each in dict.fromkeys(every)
        if not re.search("/(operations|jobs|users|account|metrics|live|ready)", each)
    ]
