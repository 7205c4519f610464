"""The edge: what it turns away, what it adds, what it logs."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import httpx2
import pytest
import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from autoforge.errors import DatabaseUnavailable
from autoforge.telemetry import logs
from autoforge.telemetry.lasting import Seldom
from autoforge.telemetry.lines import LINES, Lines
from autoforge.web import arrivals, problems
from autoforge.web.middleware import Edge, request_id_of
from tests.web.site import Site

pytestmark = pytest.mark.anyio

PROBLEM = {"type", "title", "status", "detail", "errors", "request_id"}


def client_of(app: Any, **options: Any) -> httpx2.AsyncClient:
    edge = Edge(app, **{"hosts": {"testserver"}, "most_bytes": 1_000, **options})
    transport = httpx2.ASGITransport(app=edge, raise_app_exceptions=False, client=("10.0.0.9", 1))
    return httpx2.AsyncClient(transport=transport, base_url="http://testserver")


async def reading(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body, and who asked."""
    request = Request(scope, receive)
    body = await request.body()
    answer = f"{len(body)} {request.client.host if request.client else ''} {request.url.scheme}"
    await PlainTextResponse(answer)(scope, receive, send)


async def failing(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("a secret detail")


def must_be_problem(answer: httpx2.Response, status: int, kind: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == PROBLEM
    assert (body["status"], body["type"]) == (status, f"urn:autoforge:problem:{kind}")
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "no-store" in answer.headers["cache-control"]


async def test_every_response_carries_the_headers() -> None:
    async with client_of(reading) as client:
        answer = await client.get("/")
    assert answer.headers["x-request-id"]
    assert answer.headers["server-timing"].startswith("app;dur=")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert {"Cookie", "Authorization", "Accept-Encoding"} <= set(answer.headers["vary"].split(", "))
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_harmless_request_id_is_kept() -> None:
    async with client_of(reading) as client:
        kept = await client.get("/", headers={"X-Request-ID": "from-the-proxy.1"})
        other = await client.get("/", headers={"X-Request-ID": 'a"b {}'})
    assert kept.headers["x-request-id"] == "from-the-proxy.1"
    assert other.headers["x-request-id"] != 'a"b {}'


def heard(monkeypatch: pytest.MonkeyPatch, log: str) -> list[Any]:
    """What this logger writes, however the product that another test started has set up all of them."""
    seen = structlog.testing.LogCapture()
    logger = structlog.wrap_logger(None, processors=[seen], wrapper_class=structlog.make_filtering_bound_logger(0))
    monkeypatch.setattr(log, logger)
    return seen.entries


async def test_a_database_that_fails_leaves_a_trace_and_not_one_per_request(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = heard(monkeypatch, "autoforge.web.problems.log")
    at = [0.0]
    monkeypatch.setattr(problems, "_SELDOM", Seldom(lambda: at[0]))

    async def full(scope: Any, receive: Any, send: Any) -> None:
        raise DatabaseUnavailable("database or disk is full", retry_after=30)

    async with client_of(full) as client:
        answers = [await client.post("/api/v1/prompts") for _ in range(3)]
        at[0] += 60
        answers.append(await client.post("/api/v1/prompts"))
    for answer in answers:
        must_be_problem(answer, 503, "database-unavailable")
    lines = [entry for entry in seen if entry["event"] == "the database failed"]
    assert [(one["request_id"], one["left_out"]) for one in lines] == [
        (answers[0].headers["x-request-id"], 0),
        (answers[3].headers["x-request-id"], 2),
    ]
    assert {(one["path"], one["error"]) for one in lines} == {("/api/v1/prompts", "database or disk is full")}


def test_no_two_requests_get_the_same_id() -> None:
    made = [request_id_of({}) for _ in range(2_000)]
    assert len(set(made)) == 2_000
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in made)


@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", "", "[", "testserver@evil.example"])
async def test_other_hosts_are_refused(host: str) -> None:
    async with client_of(reading) as client:
        must_be_problem(await client.get("/", headers={"Host": host}), 421, "wrong-host")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver:81"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_writes_from_other_sites_are_refused(headers: dict[str, str]) -> None:
    async with client_of(reading) as client:
        must_be_problem(await client.post("/", headers=headers), 403, "wrong-origin")
        assert (await client.get("/", headers=headers)).status_code == 200
        assert (await client.post("/", headers={"Origin": "http://testserver"})).status_code == 200


async def chunks(size: int, number: int) -> AsyncIterator[bytes]:
    for _ in range(number):
        yield b"x" * size


async def test_bodies_are_bounded_whether_announced_or_not() -> None:
    async with client_of(reading) as client:
        assert (await client.post("/", content=b"x" * 1_000)).text.startswith("1000 ")
        assert (await client.post("/", content=chunks(100, 10))).text.startswith("1000 ")
        must_be_problem(await client.post("/", content=b"x" * 1_001), 413, "too-large")
        must_be_problem(await client.post("/", content=chunks(100, 11)), 413, "too-large")
        must_be_problem(await client.post("/", headers={"Content-Length": "9" * 5_000}), 413, "too-large")


@pytest.mark.parametrize(
    ("address", "status", "kind"),
    [
        ("/%zz", 400, "bad-request"),
        ("/a%", 400, "bad-request"),
        ("/%ff", 400, "bad-request"),
        ("/?q=%ff", 400, "bad-request"),
        ("/?q=%", 400, "bad-request"),
        ("/%00", 400, "bad-request"),
        ("/?q=a%00b", 400, "bad-request"),
        ("/?q=" + "x" * 9_000, 414, "address-too-long"),
        ("/" + "x" * 9_000, 414, "address-too-long"),
    ],
)
async def test_addresses_that_say_nothing_are_refused(address: str, status: int, kind: str) -> None:
    path, _, query = address.partition("?")
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [(b"host", b"testserver")],
    }  # fmt: skip
    await Edge(reading, hosts={"testserver"}, most_bytes=1_000)(scope, _empty, send)
    answer = httpx2.Response(sent[0]["status"], headers=sent[0]["headers"], content=sent[1]["body"])
    must_be_problem(answer, status, kind)


async def _empty() -> Any:
    return {"type": "http.request", "body": b""}


async def test_what_goes_wrong_is_500_without_its_details_and_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = heard(monkeypatch, "autoforge.web.problems.log")
    async with client_of(failing) as client:
        answer = await client.get("/")
    must_be_problem(answer, 500, "internal")
    assert "secret" not in answer.text
    assert [entry["event"] for entry in seen if entry["log_level"] == "error"] == ["unexpected error"]


async def test_an_answer_that_breaks_off_is_not_completed() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        raise ValueError("gone")

    ended: list[Any] = []

    async def send(message: Any) -> None:
        ended.append(message)

    edge = Edge(StreamingResponse(pieces()), hosts={"testserver"}, most_bytes=1_000)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"testserver")]}
    scope["asgi"] = {"spec_version": "2.4"}
    with pytest.raises(ValueError, match="gone"):
        await edge(scope, _empty, send)
    assert all(message.get("more_body", True) for message in ended)


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
async def test_head_of_an_endless_answer_ends(spec: str) -> None:
    closed: list[bool] = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"more"

    async def send(message: Any) -> None:
        closed.append(not message.get("more_body", True) or "body" in message)

    async def silent() -> Any:
        import anyio

        await anyio.sleep_forever()

    edge = Edge(StreamingResponse(endless(), media_type="text/event-stream"), hosts={"testserver"}, most_bytes=1_000)
    scope = {"type": "http", "method": "HEAD", "path": "/", "headers": [(b"host", b"testserver")]}
    await edge({**scope, "asgi": {"spec_version": spec}}, silent, send)
    assert closed[-1]


async def test_only_slow_requests_are_logged_unless_all_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = heard(monkeypatch, "autoforge.web.exchange.log")
    async with client_of(reading) as client:
        await client.get("/")
    LINES.flush()
    assert (seen, capsys.readouterr().err) == ([], "")
    monkeypatch.setattr(logs, "_plain", True)
    async with client_of(reading, log_all=True) as client:
        await client.get('/x"?secret=1', headers={"X-Request-ID": "r1"})
        await client.get("/y")
    monkeypatch.setattr("autoforge.web.exchange.SLOW_SECONDS", 0.0)
    async with client_of(reading) as client:
        await client.get("/")
    LINES.flush()
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["path"], second["path"]) == ('/x"', "/y")
    assert first.pop("milliseconds") >= 0.0
    assert datetime.fromisoformat(first.pop("timestamp")) > datetime.fromtimestamp(0, UTC)
    about = {"method": "GET", "path": '/x"', "status": 200, "statements": 0, "client": "10.0.0.9"}
    assert first == {**about, "event": "request", "request_id": "r1", "level": "info"}
    assert [(one["event"], one["log_level"], one["path"]) for one in seen] == [("slow request", "warning", "/")]


def test_both_ways_to_write_the_line_of_a_request_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    about: dict[str, Any] = {"method": "GET", "path": "/\ud800\n", "status": 200, "seconds": 0.00125, "statements": 3}
    about |= {"client": '::1%a"', "request_id": "r1"}
    written: list[str] = []
    monkeypatch.setattr(LINES, "now", written.append)
    monkeypatch.setattr(LINES, "later", written.append)
    logs.configure("info", readable=False)
    logs.request_answered(**about)
    monkeypatch.setattr(logs, "_plain", False)
    logs.request_answered(**about)
    plain, other = ({**json.loads(line), "timestamp": ""} for line in written)
    assert (plain, list(plain)) == (other, list(other))


def test_lines_are_written_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    for number in range(30_000):
        lines.later(f"{number}\n")
    lines.now("last\n")
    assert capsys.readouterr().err.split() == [*map(str, range(30_000)), "last"]


async def test_the_request_id_is_bound_to_every_line_of_the_request() -> None:
    bound: list[Any] = []

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        bound.append(structlog.contextvars.get_contextvars().get("request_id"))
        await Response()(scope, receive, send)

    async with client_of(noting) as client:
        answer = await client.get("/")
    assert bound == [answer.headers["x-request-id"]]
    assert "request_id" not in structlog.contextvars.get_contextvars()


def test_lines_of_the_standard_library_have_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", readable=False)
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logging.getLogger("autoforge.db.sessions").warning("the statement %s was slow", "one")
        logging.getLogger("autoforge.db.sessions").info("nobody asked")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["request_id"], line["level"]) == ("the statement one was slow", "r1", "warning")


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        ("10.0.0.9", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.9", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.9", "203.0.113.7, 10.0.0.8", "203.0.113.7"),
        ("10.0.0.9", "203.0.113.7, nonsense", "10.0.0.9"),
        ("10.0.0.9", "", "10.0.0.9"),
        ("192.0.2.1", "203.0.113.7", "192.0.2.1"),
    ],
)
def test_only_our_proxies_may_say_who_asks(peer: str, said: str, client: str) -> None:
    scope: Any = {"type": "http", "client": (peer, 1), "scheme": "http"}
    headers = {b"x-forwarded-for": said.encode(), b"x-forwarded-proto": b"https"}
    arrivals.forwarded(scope, headers, [ip_network("10.0.0.0/8")])
    assert scope["client"][0] == client
    assert scope["scheme"] == ("https" if peer == "10.0.0.9" else "http")


async def test_without_trusted_proxies_nothing_is_believed() -> None:
    async with client_of(reading) as client:
        answer = await client.get("/", headers={"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"})
    assert answer.text == "0 10.0.0.9 http"


async def test_assets_with_their_hash_are_kept_for_ever(site: Site) -> None:
    from autoforge.web.rendering import static

    named = await site.client.get(static("app.js"))
    plain = await site.client.get("/static/app.js")
    stale = await site.client.get("/static/app.js?v=0123456789ab")
    assert named.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["cache-control"] == stale.headers["cache-control"] == "public, no-cache"
    assert named.headers["vary"] == "Accept-Encoding"
    assert named.content == plain.content


@pytest.mark.parametrize("encoding", ["zstd", "gzip", "identity"])
async def test_assets_answer_from_the_client_s_cache(site: Site, encoding: str) -> None:
    headers = {"Accept-Encoding": encoding}
    first = await site.client.get("/static/vendor/htmx/htmx-4.0.1.min.js", headers=headers)
    assert first.headers.get("content-encoding", "identity") == encoding
    again = await site.client.get(
        "/static/vendor/htmx/htmx-4.0.1.min.js", headers={**headers, "If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.headers["etag"], again.content) == (304, first.headers["etag"], b"")


@pytest.mark.parametrize("path", ["", "nothing.js", "../rendering.py", "%2e%2e/rendering.py", "vendor", "/etc/passwd"])
async def test_nothing_else_is_an_asset(site: Site, path: str) -> None:
    assert (await site.client.get(f"/static/{path}")).status_code == 404


async def test_assets_are_only_read(site: Site) -> None:
    answer = await site.client.post("/static/app.js")
    must_be_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_head_answers_like_get(site: Site) -> None:
    for path in ("/api/v1/prompts", "/api/v1/health", "/w/main/prompts", "/static/app.js"):
        got, head = await site.client.get(path), await site.client.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-type"] == got.headers["content-type"]


async def test_options_names_the_methods_of_all_routes(site: Site) -> None:
    answer = await site.client.options("/api/v1/prompts", headers={"Origin": "http://evil.example"})
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, POST, HEAD, OPTIONS")
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    refused = await site.client.delete("/api/v1/prompts")
    must_be_problem(refused, 405, "method-not-allowed")
    assert refused.headers["allow"] == "GET, POST, HEAD, OPTIONS"


def test_a_log_that_nobody_reads_any_more_fails_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    broken = open(writing_end, "w", buffering=1)  # noqa: SIM115 - closed below, where closing it may fail too
    monkeypatch.setattr(sys, "stderr", broken)
    Lines().now("a line\n")
    with suppress(BrokenPipeError):
        broken.close()
