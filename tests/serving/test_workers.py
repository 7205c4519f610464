"""Two workers on one database are one service: what one did, the other knows, and nobody notices their comings and
goings."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests import servers
from tests.serving.running import Asking, Service, running, until


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("workers") / "data"
    data.mkdir()
    shutil.copyfile(sqlite_template, data / "autoforge.db")
    with running(data, AUTOFORGE_DRAIN_SECONDS="0.3") as started:
        yield started


@pytest.fixture
def pair(service: Service) -> list[Asking]:
    """A connection to each worker."""
    return service.one_of_each()


def served(asking: Asking, name: str) -> Any:
    status, found = asking("GET", f"/api/v1/prompts/served/{name}@main")
    return found["content"]["messages"][0]["content"] if status == 200 else status


def agree_at_once(pair: list[Asking]) -> None:
    """Each changes in turn, and the other is asked right after: it had the old value in memory."""
    name = f"agreed-{uuid4().hex[:8]}"
    prompt = pair[0]("POST", "/api/v1/prompts", {"name": name, "content": "0"})[1]["id"]
    assert [served(asking, name) for asking in pair] == ["0", "0"]
    for number in range(1, 21):
        writer, reader = pair[number % 2], pair[(number + 1) % 2]
        assert writer("POST", f"/api/v1/prompts/{prompt}/versions", {"content": str(number)})[0] == 201
        assert served(reader, name) == str(number) == served(writer, name)


def test_a_change_by_one_is_seen_by_the_other_at_once(pair: list[Asking]) -> None:
    agree_at_once(pair)


def test_on_postgresql_it_is_the_same_and_what_has_begun_is_answered_before_the_service_ends(
    tmp_path: Path, postgres_database_url: str
) -> None:
    with running(tmp_path / "data", "--database-url", postgres_database_url) as service:
        pair = service.one_of_each()
        agree_at_once(pair)
        big = [{"name": f"p{number}", "content": "A long prompt. " * 1_000} for number in range(600)]
        assert pair[0]("POST", "/api/v1/prompts/import", big)[0] == 200
        exporting = service.ask().connection
        exporting.request("GET", "/api/v1/prompts/export?format=jsonl", headers=service.headers)
        answer = exporting.getresponse()
        begun = answer.readline()  # of 9 MB: the rest is in no buffer
        service.process.send_signal(signal.SIGTERM)
        until(lambda: not servers.accepts(service.port))
        assert len((begun + answer.read()).splitlines()) == 601
        assert service.process.wait(servers.PATIENCE) == 0


def test_an_import_by_a_command_is_seen_by_both_at_once(service: Service, pair: list[Asking]) -> None:
    assert pair[0]("POST", "/api/v1/prompts", {"name": "imported", "content": "first"})[0] == 201
    assert [served(asking, "imported") for asking in pair] == ["first", "first"]
    file = service.data.parent / "prompts.jsonl"
    file.write_text(json.dumps({"name": "imported", "content": "second"}))
    service.autoforge("prompts", "import", str(file))
    assert [served(asking, "imported") for asking in pair] == ["second", "second"]


def test_a_request_that_is_repeated_elsewhere_is_done_once(pair: list[Asking]) -> None:
    key, body = {"Idempotency-Key": uuid4().hex}, {"name": "once", "content": "x"}
    answers = [asking("POST", "/api/v1/prompts", body, **key) for asking in pair]
    assert answers[0] == answers[1]
    assert answers[0][0] == 201


def test_a_key_that_one_revokes_opens_nothing_at_the_other(service: Service, pair: list[Asking]) -> None:
    made, header = service.new_key(pair[0])
    assert [asking("GET", "/api/v1/me", **header)[0] for asking in pair] == [200, 200]
    assert pair[0]("DELETE", f"/api/v1/keys/{made}")[0] == 204
    assert [asking("GET", "/api/v1/me", **header)[0] for asking in pair] == [401, 401]


def test_attempts_to_sign_in_are_counted_in_all(service: Service, pair: list[Asking]) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{service.port}"}
    statuses = []
    for number in range(8):
        asking = pair[number % 2]
        body = "email=nobody%40example.com&password=wrong-wrong-wrong"
        asking.connection.request("POST", "/sign-in", body, form)
        answer = asking.connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    assert statuses == [401] * 4 + [429] * 4  # signing in by the link was the first of the five that a minute allows


def test_who_watches_at_one_hears_of_a_job_wherever_it_runs(pair: list[Asking]) -> None:
    for asking, watching in (pair, pair[::-1]):
        status, job = asking("POST", "/api/v1/users/cleanup?days=300")
        assert status == 202, job
        status, events = watching("GET", f"/api/v1/jobs/{job['job_id']}/events")
        assert status == 200
        assert b'"status":"completed"' in events


def test_nothing_is_lost_and_nobody_waits_when_a_worker_is_killed_among_writers(service: Service) -> None:
    """Four clients write through each worker; one worker dies in the middle of it."""
    acknowledged, odd, enough = list[str](), list[Any](), threading.Event()
    clients = [asking for _ in range(4) for asking in service.one_of_each()]
    victim, survivor = clients[0].worker, clients[1].worker

    def write(number: int, asking: Asking, worker: int) -> None:
        for attempt in range(15):
            name = f"written-{worker}-{number}-{attempt}"
            try:
                status, said = asking("POST", "/api/v1/prompts", {"name": name, "content": "x"})
            except (OSError, http.client.HTTPException):
                return
            (acknowledged if status == 201 else odd).append(name if status == 201 else said)
            if len(acknowledged) > 20:
                enough.set()

    writers = [
        threading.Thread(target=write, args=(number, asking, asking.worker)) for number, asking in enumerate(clients)
    ]
    for writer in writers:
        writer.start()
    assert enough.wait(60)
    os.kill(victim, signal.SIGKILL)
    for writer in writers:
        writer.join()
    assert sum(name.startswith(f"written-{survivor}-") for name in acknowledged) == 60
    assert odd == []
    stored = service.autoforge("prompts", "export", "-", "--format", "jsonl")
    assert {name for name in acknowledged if f'"{name}"' not in stored} == set()
    until(lambda: len(service.workers()) == 2 and victim not in service.workers())
    assert len(service.one_of_each()) == 2
    assert "database is locked" not in service.log.read_text()


@contextmanager
def steady_clients(service: Service) -> Iterator[Counter[str]]:
    """Requests one after the other until the end of the block: reads and writes on connections that are kept, and
    reads on a new one each time. Nothing is tried again; ``failed`` counts what had no answer, or a wrong one."""
    over, counts = threading.Event(), Counter[str]()

    def ask(number: int) -> None:
        asking, turn = service.ask(), 0
        while not over.wait(0.005):
            turn += 1
            try:
                if number == 0:
                    asking.connection.close()
                if number == 1:
                    body = {"name": f"steady-{turn}", "content": "x"}
                    right = asking("POST", "/api/v1/prompts", body)[0] == 201
                else:
                    right = asking("GET", "/api/v1/prompts?limit=1")[0] == 200
            except (OSError, http.client.HTTPException):
                right = False
            counts["answered" if right else "failed"] += 1

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for client in clients:
        client.start()
    try:
        yield counts
    finally:
        over.set()
        for client in clients:
            client.join()


def test_workers_are_replaced_while_everybody_is_answered(service: Service) -> None:
    before = service.workers()
    with steady_clients(service) as counts:
        until(lambda: counts["answered"] > 50)
        service.process.send_signal(signal.SIGHUP)
        until(lambda: len(service.workers()) == 2 and not service.workers() & before)
        answered = counts["answered"]
        until(lambda: counts["answered"] > answered + 50)
    assert counts["failed"] == 0
