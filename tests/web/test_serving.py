"""Prompts from memory: the same answers as by the ordinary route, and never older than the last change."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoforge.access.limits import Budgets
from autoforge.app import Product
from autoforge.prompts.serving import PREFIX
from autoforge.settings import CacheSettings
from autoforge.telemetry import logs
from autoforge.telemetry.lines import LINES
from tests.web.site import HOST, Site, key, opened
from tests.web.site import settings as site_settings

pytestmark = pytest.mark.anyio

VOLATILE = {"server-timing": "", "ratelimit": ""}
LONG = "You answer the mail of a customer. " * 60
Headers = list[tuple[bytes, bytes]]


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    chosen = site_settings(tmp_path_factory.mktemp("serving"), samples=False, requests_per_minute=1_000_000)
    async with opened(chosen) as running:
        for name, content in (("a/short", "one"), ("long", LONG), ("50%zz", "odd"), ("über", "umlaut")):
            body = {"name": name, "content": content, "labels": ["production"]}
            assert (await running.client.post("/api/v1/prompts", json=body)).status_code == 201
        yield running


async def ask(app: Any, method: str, raw_path: bytes, query: bytes, headers: Headers) -> tuple[int, Any, Any]:
    """Status, headers by name without what differs by its nature, and body; over plain ASGI, as servers call it."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    path = unquote(raw_path.decode("latin-1"))
    scope = {"type": "http", "method": method, "path": path, "raw_path": raw_path, "query_string": query}
    scope |= {"headers": list(headers), "client": ("127.0.0.1", 1), "scheme": "http", "root_path": ""}
    await app({**scope, "http_version": "1.1", "server": (HOST, 80), "asgi": {"spec_version": "2.3"}}, receive, send)
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert len(told) == len(sent[0]["headers"])
    body = b"".join(message.get("body", b"") for message in sent[1:])
    if not any(name == b"x-request-id" and value == b"kept.1" for name, value in headers):
        body = body.replace(told["x-request-id"].encode(), b"")
        told["x-request-id"] = ""
    return sent[0]["status"], {**told, **{name: "" for name in VOLATILE if name in told}}, body


async def ordinary(app: Product, *request: Any) -> tuple[int, Any, Any]:
    """By the route, as if there were no layer in front of it."""

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        await FastAPI.__call__(app, scope, receive, send)

    return await ask(behind, *request)


def tags_of(tag: str) -> st.SearchStrategy[bytes | None]:
    coded = [f'{tag[:-1]}-{name}"' for name in ("gzip", "zstd")]
    shown = [tag, *coded, f"W/{tag}", f'"x", {tag}', f'"x", {coded[0]},{coded[1]}', "*", '"other"', "junk"]
    return st.sampled_from([None, None, *(text.encode() for text in shown)])


PATHS = ["a/short", "a/short@production", "a/short@1", "a/short@2", "a/short@nothing", "long", "long@main", "none"]
PATHS += ["a%2Fshort", "50%25zz", "50%zz", "%C3%BCber", "a/short@", "a//short", "", "a/short/"]
ENCODINGS = [None, None, b"gzip", b"zstd", b"gzip, deflate, br, zstd", b"identity", b"gzip;q=0", b"*"]
ENCODINGS += [b"zstd;q=0.1,gzip"]
EXTRA = [(b"cookie", b"autoforge_session=x"), (b"range", b"bytes=0-3"), (b"accept", b"text/html")]
EXTRA += [(b"if-match", b'"1-gzip"'), (b"origin", b"http://evil.example"), (b"x-workspace", b"other")]
EXTRA += [(b"user-agent", b"x"), (b"x-id", b"\xff")]
EXTRA += [(b"host", b"evil.example"), (b"if-none-match", b'"second"'), (b"x-forwarded-for", b"10.0.0.1")]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
async def test_the_answer_is_that_of_the_ordinary_route(site: Site, data: st.DataObject) -> None:
    method = data.draw(st.sampled_from(["GET"] * 6 + ["HEAD", "HEAD", "POST", "OPTIONS"]))
    path = (PREFIX + data.draw(st.sampled_from(PATHS + PATHS[:3] * 4 + ["long"] * 6))).encode()
    query = data.draw(st.sampled_from([b"", b"", b"", b"", b"a=1"]))
    usual, theirs = (headers["Authorization"].encode() for headers in (site.mine, site.theirs))
    keys = [usual] * 8 + [usual.lower(), b"bearer" + usual[6:], usual + b" ", theirs]
    hosts = [b"127.0.0.1"] * 6 + [b"localhost:8000", b"evil.example", b"[", None]
    asked: dict[bytes, bytes | None] = {
        b"host": data.draw(st.sampled_from(hosts)),
        b"authorization": data.draw(st.sampled_from([*keys, b"Bearer", b"Bearer afn_none", b"Basic eA==", None])),
        b"accept-encoding": data.draw(st.sampled_from(ENCODINGS)),
        b"x-request-id": data.draw(st.sampled_from([None, b"kept.1", b"bad id", b""])),
    }
    known = await ordinary(site.app, "GET", path, b"", [(b"host", HOST.encode()), (b"authorization", usual)])
    asked[b"if-none-match"] = data.draw(tags_of(known[1].get("etag", '"none"')))
    extra = data.draw(st.lists(st.sampled_from(EXTRA), max_size=1))
    headers = [(name, value) for name, value in asked.items() if value is not None] + extra
    request = method, path, query, headers
    assert await ask(site.app, *request) == await ordinary(site.app, *request)


async def test_what_is_usual_is_answered_from_memory(site: Site) -> None:
    for path in ("a/short", "long"):
        for encoding in ("identity", "gzip", "zstd"):
            headers = {"Accept-Encoding": encoding}
            tags = {(await site.client.get(PREFIX + path, headers=headers)).headers["etag"] for _ in range(2)}
            before = site.app.serving.answered
            again = await site.client.get(PREFIX + path, headers=headers)
            seen = await site.client.get(PREFIX + path, headers={**headers, "If-None-Match": min(tags)})
            assert (again.status_code, seen.status_code, len(tags)) == (200, 304, 1)
            assert again.json()["name"] == path
            assert site.app.serving.answered == before + 2


async def test_its_line_and_its_counts_are_those_of_the_route(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[Any] = []
    counted: list[Any] = []
    monkeypatch.setattr("autoforge.telemetry.metrics.request_finished", lambda *given: counted.append(given[:3]))
    monkeypatch.setattr("autoforge.telemetry.levels.request_finished", lambda *given: counted.append(given[:2]))
    monkeypatch.setattr(logs, "_plain", True)
    monkeypatch.setattr(LINES, "later", lambda line: lines.append(json.loads(line)))
    monkeypatch.setattr(site.app.serving, "_log_all", True)
    monkeypatch.setattr("autoforge.web.exchange.SLOW_SECONDS", -1.0)
    slow: list[Any] = []
    monkeypatch.setattr("autoforge.web.exchange.log.warning", lambda event, **about: slow.append(about), raising=False)
    mine = (b"authorization", site.mine["Authorization"].encode()), (b"x-request-id", b"kept.1")
    request = "GET", (PREFIX + "a/short").encode(), b"", [(b"host", HOST.encode()), *mine]
    for _ in range(2):
        await ordinary(site.app, *request)
    await ask(site.app, *request)
    assert counted[-2:] == counted[-4:-2] != []
    volatile = {"milliseconds": 0, "timestamp": ""}
    assert {**lines[-1], **volatile} == {**slow[-1], **volatile, "event": "request", "level": "info"}


async def test_no_change_is_overlooked(fresh_site: Site) -> None:
    site = fresh_site
    prompt = (await site.client.post("/api/v1/prompts", json={"name": "p", "content": "one"})).json()["id"]
    other = await key(site.app, site.owner, "prompts:read")

    async def served(headers: Any = None) -> Any:
        answers = [await site.client.get(PREFIX + "p", headers=headers or {}) for _ in range(3)]
        assert len({answer.text for answer in answers}) == 1 or answers[0].status_code >= 400
        first = answers[0]
        return first.json()["content"]["messages"][0]["content"] if first.status_code == 200 else first.status_code

    assert await served() == await served(other) == "one"
    await site.client.post(f"/api/v1/prompts/{prompt}/versions", json={"content": "two"})
    assert await served() == await served(other) == "two"
    keys = (await site.client.get("/api/v1/keys")).json()
    revoked = next(row["id"] for row in keys if row["scopes"] == ["prompts:read"])
    assert (await site.client.delete(f"/api/v1/keys/{revoked}")).status_code == 204
    assert (await served(), await served(other)) == ("two", 401)
    await site.client.delete(f"/api/v1/prompts/{prompt}")
    assert await served() == 404
    assert await served(await key(site.app, site.owner, "jobs:admin")) == 403


async def test_what_is_kept_ready_is_bounded_by_the_size_of_the_cache(tmp_path: Path) -> None:
    chosen = site_settings(tmp_path / "data", samples=False, cache=CacheSettings(size_mb=1))
    async with opened(chosen) as site:
        serving = site.app.serving
        texts = {f"p{n}": f"{n} {random.Random(n).randbytes(40_000).hex()}" for n in range(40)}
        for name, text in texts.items():
            body = {"name": name, "content": text}
            assert (await site.client.post("/api/v1/prompts", json=body)).status_code == 201
        for name in [*texts, *texts]:
            for encoding in ("identity", "gzip", "zstd", "zstd"):
                answer = await site.client.get(PREFIX + name, headers={"Accept-Encoding": encoding})
                assert answer.json()["content"]["messages"][0]["content"] == texts[name]
                held = {id(body): len(body) for one in serving._kept for body, _ in one.forms.values()}
                assert sum(held.values()) <= serving.bytes <= 1024 * 1024
        assert serving.bytes == sum(one.weight for one in serving._kept)
        assert sum(len(shelf) for shelf in serving._shelves.values()) == len(serving._kept) < len(texts)
        assert serving.answered > len(texts)


async def test_what_alone_is_larger_than_the_room_is_answered_and_not_kept(site: Site) -> None:
    cache, gate = site.app.state.services.cache, site.app.state.gate
    for most in (10, 10_000):
        site.app.serving.close()
        site.app.serving.open(cache, gate)
        site.app.serving._most_bytes = most
        for encoding in ("identity", "gzip", "zstd"):
            for _ in range(2):
                answer = await site.client.get(PREFIX + "long", headers={"Accept-Encoding": encoding})
                assert answer.json()["name"] == "long"
                assert site.app.serving.bytes <= most
    site.app.serving.open(cache, gate)


async def test_the_limit_holds(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.app.state.gate, "budgets", Budgets(site.database, 40))
    fresh = await key(site.app, site.owner)
    answers = [await site.client.get(PREFIX + "a/short", headers=fresh) for _ in range(90)]
    passed = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} == {200, 429}
    assert 40 <= len(passed) <= 80  # a new minute may begin meanwhile
    left = [int(answer.headers["ratelimit"].split(";")[1].removeprefix("r=")) for answer in passed]
    assert sum(after < before for before, after in pairwise(left)) >= len(left) - 2
