"""The load generator: what it counts, and that every request of its mix is one that the product answers."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from autoforge.app import create
from autoforge.operations.opening import open_services
from autoforge.settings import load_settings
from bench.load.connection import Connection
from bench.load.histogram import Histogram
from bench.load.mix import Fixed, Kind, Mix
from bench.load.tally import Tally
from bench.site import Sizes, fill


def test_quantiles_are_right_within_two_per_cent() -> None:
    values = [n / 1e4 for n in range(1, 10_001)]
    found = Histogram()
    for value in values:
        found.add(value)
    for share in (0.5, 0.95, 0.99):
        assert found.at(share) == pytest.approx(share * 1_000, rel=0.03)
    assert found.summary()["max"] == pytest.approx(max(values) * 1e3)


def test_an_answer_counts_only_with_the_right_status_and_body() -> None:
    tally = Tally([Kind("asked", "asked", b"200", b'"id":')])
    for answer in (
        b'HTTP/1.1 200 OK\r\n\r\n{"id":1}',
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n",
    ):
        tally.answered(0, answer, (0.01, 0.01, 0.0))
    found = tally.summary()
    assert found["all"]["count"] == 1
    assert found["wrong"] == {"asked: wrong body": 1, "asked: 304": 1}
    assert found["shed"]["count"] == found["shed"]["told_when"] == 1


def test_a_connection_reads_an_answer_that_comes_in_pieces() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = Connection(server.getsockname())
        other, _ = server.accept()
    with other:
        one.socket.setblocking(True)
        for piece in (b"HTTP/1.1 200 OK\r\nContent-Len", b"gth: 5\r\n\r\nhel"):
            other.sendall(piece)
            assert one.receive() is None
        other.sendall(b"lo")
        assert one.receive() == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        one.close()


def test_fixed_requests_are_numbered() -> None:
    given: dict[str, Any] = {"name": "a", "status": "200", "marker": "", "requests": ["QEBAQEBAQEA="], "first": 7}
    assert [request for _, request in Fixed([given]).batch(2)] == [b"00000007", b"00000008"]


async def test_the_product_answers_every_request_of_the_mix(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path, samples=False, requests_per_minute=0)
    async with open_services(settings) as services:
        facts = await fill(services, Sizes(prompts=20, people=3, templates=2, suites=2, scored=3))
    mix, app = Mix(facts), create(settings)
    left, tally = set(range(len(mix.kinds))), Tally(mix.kinds)
    async with app.router.lifespan_context(app):
        while left:
            kind, request = mix.batch(1)[0]
            if kind in left:
                left.remove(kind)
                tally.answered(kind, await _answered(app, request), (0.0, 0.0, 0.0))
    found = tally.summary()
    assert found["wrong"] == {}, found["examples"]
    assert found["all"]["count"] == len(mix.kinds)


async def _answered(app: Any, request: bytes) -> bytes:
    """The answer as bytes; the request goes to the application, no socket between."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, address, _ = first.decode().split(" ")
    path, _, query = address.partition("?")
    pairs = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": method}
    scope |= {"path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": ""}
    scope |= {"headers": pairs, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
    parts: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            parts.append(b"HTTP/1.1 %d\r\n\r\n" % message["status"])
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return b"".join(parts)
