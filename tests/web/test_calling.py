"""Routes are called as the framework calls them, and only by it where something is unusual."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts

from autoforge.app import create
from autoforge.web.calling import call_of
from autoforge.web.directory import Directory
from tests.web.examples import LAST, Asked, everything
from tests.web.site import Site, opened, settings

LEFT = {
    "GET /api/v1/prompts/export",
    "GET /w/{workspace}/people/import/{key}",
    "POST /account/name",
    "POST /account/password",
    "POST /api/v1/prompts/import",
    "POST /api/v1/users/import",
    "POST /sign-in",
    "POST /sign-in/link",
    "POST /sign-out",
    "POST /welcome",
    "POST /welcome/open",
}
"""Parameters that may be there several times or whose default is not plain, forms, dependencies that wait for one."""
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


def all_routes(app: Any) -> list[Any]:
    return [one._route_context for one in iter_route_contexts(app.router.routes) if one._route_context is not None]


def reads(app: Any) -> list[Any]:
    return [route for route in all_routes(app) if "GET" in (route.methods or ())]


def test_nearly_all_routes_are_called_directly(tmp_path: Path) -> None:
    routes = all_routes(create(settings(tmp_path)))
    left = {f"{min(route.methods)} {route.path_format}" for route in routes if call_of(route) is None}
    assert len(routes) > 200
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


async def test_writes_are_answered_as_by_the_framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(settings(tmp_path / "ours")) as site:
        ours = await written(site)
    monkeypatch.setattr("autoforge.web.directory.call_of", lambda route: None)
    async with opened(settings(tmp_path / "theirs")) as site:
        theirs = await written(site)
    assert len(ours) > 700
    for asked, answer in ours.items():
        assert answer == theirs[asked], asked
    statuses = {status for status, _, _ in ours.values()}
    assert statuses >= {200, 201, 204, 400, 401, 404, 412, 422}


async def written(site: Site) -> dict[tuple[str, str, str], Any]:
    """The answers to every request that may change something, sent in many ways; what it means to leave comes last."""
    found = {}
    every = [one for one in await everything(site) if one.method != "GET" and not one.page and one.place not in LAST]
    for one in sorted(every, key=lambda one: one.method == "DELETE"):
        for who, headers in ("nobody", {"Authorization": ""}), ("mine", site.mine):
            for way, sent in ways(one):
                sent["headers"] = {**headers, **sent.get("headers", {})}
                answer = await site.client.request(one.method, one.path, **sent)
                found[one.place, who, way] = same(answer)
    return found


def ways(one: Asked) -> Iterator[tuple[str, dict[str, Any]]]:
    """The broken ones first; the last is as it should be."""
    json_type = {"Content-Type": "application/json"}
    if one.body is not None:
        yield "nothing", {}
        for text in ("", "{", "null", "[]", "7", '"x"', "[" * 5_000, '{"a": NaN}', "\udcff"):
            yield f"the body {text[:9]!r}", {"content": text.encode("utf-8", "surrogateescape"), "headers": json_type}
        for kind in ("text/plain", "", "application/jsonp", "application/merge-patch+json", "application/x"):
            yield f"as {kind!r}", {"content": json.dumps(one.body), "headers": {"Content-Type": kind}}
    if isinstance(one.body, dict):
        yield "with more", {"json": {**one.body, "nobody_knows_this": 1}}
        for name in one.properties:
            yield f"odd {name}", {"json": {**one.body, name: {"x": [1]}}}
    for name, value in ("If-Match", "no tag"), ("If-Match", 'W/"1"'), ("Idempotency-Key", "k" * 300):
        yield f"{name}: {value[:9]}", {**one.sent(), "headers": {name: value}}
    if one.body is not None:
        typed = {"Content-Type": "Application/JSON; charset=utf-8", "Idempotency-Key": one.place}
        for time in ("first", "second"):
            yield f"with a key, {time}", {"content": json.dumps(one.body), "headers": typed}
    yield "as it should be", one.sent()


def same(response: Any) -> tuple[Any, ...]:
    """Status, headers by name, and what stays of the body when ids, times and secrets are left out."""
    text = re.sub(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", "ID", response.text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+]00:00)?", "TIME", text)
    if response.status_code < 400 and text.startswith("{"):
        text = str(sorted(response.json()))
    return response.status_code, sorted(response.headers), text
