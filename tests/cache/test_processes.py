"""Several processes, on one host and on two, with Redis that comes and goes: never an old value beyond the bound."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from autoforge.cache.ttl import WORD
from tests import servers
from tests.cache.servers import Redis, Worker, redis

ONE_SIDED = 5.0
"""Seconds for what Redis was not told of by its writer: the sweep of every 0.2 s, on a machine that may be busy."""


@dataclass
class World:
    """Workers 0 and 1 on one host, 2 on another (another data directory), on one database."""

    workers: list[Worker]
    redis: Redis | None
    folder: Path
    written: dict[str, list[tuple[int, Worker, dict[str, Any]]]] = field(default_factory=dict)

    def write(self, who: int, key: str) -> None:
        self._wrote(who, key, self.workers[who].ask("write", key=key))

    def read(self, who: int, key: str) -> None:
        self._check(who, key, self.workers[who].ask("read", key=key))

    def at_once(self, steps: list[tuple[int, str, str]]) -> None:
        """Each worker does its own step, all at a time."""
        chosen = {who: (do, key) for who, do, key in steps}
        for who, (do, key) in chosen.items():
            self.workers[who].send(do, key=key)
        answers = {who: self.workers[who].receive() for who in chosen}
        for who, (do, key) in chosen.items():  # first what was written, then what was read meanwhile
            if do == "write":
                self._wrote(who, key, answers[who])
        for who, (do, key) in chosen.items():
            if do == "read":
                self._check(who, key, answers[who])

    def _wrote(self, who: int, key: str, answer: dict[str, Any]) -> None:
        self.written.setdefault(key, []).append((answer["value"], self.workers[who], answer))

    def _check(self, who: int, key: str, answer: dict[str, Any]) -> None:
        for value, writer, written in self.written.get(key, []):
            bound = 0.0 if writer.host == self.workers[who].host else WORD if written["told"] else ONE_SIDED
            if written["ended"] + bound < answer["began"]:
                assert answer["value"] >= value, f"worker {who} read {answer['value']} of {key} {bound=} after {value}"

    def settle(self) -> None:
        """Returns once all processes have Redis and it knows everything."""
        deadline = time.monotonic() + 60
        while not all(worker.ask("link")["up"] for worker in self.workers) or self.workers[0].ask("rows")["rows"]:
            assert time.monotonic() < deadline, "Redis is back and was not found, or never told"
        for worker in self.workers:
            worker.ask("word")


@contextmanager
def world(folder: Path, database: str, server: Redis | None, hosts: str = "aab") -> Iterator[World]:
    for host in set(hosts):
        (folder / host).mkdir(exist_ok=True)
    workers = [Worker(folder / host, database, server.url if server else "") for host in hosts]
    try:
        yield World(workers, server, folder)
    finally:
        for worker in workers:
            worker.end()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def shared_database(sqlite_template: Path, folder: Path) -> str:
    path = folder / "shared.db"
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def shared_server_database(postgres_url: str, postgres_template: str) -> Iterator[str]:
    """Several hosts share PostgreSQL; they cannot share a file."""
    name = f"autoforge_cache_{uuid4().hex[:12]}"
    servers.create_database(postgres_url, name, postgres_template)
    yield servers.naming(postgres_url, name)
    servers.on_postgres(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def far_world(folder: Path, shared_server_database: str) -> Iterator[World]:
    with redis(folder) as server, world(folder, shared_server_database, server) as made:
        yield made


@pytest.fixture(scope="module")
def near_world(folder: Path, shared_database: str) -> Iterator[World]:
    (folder / "near").mkdir()
    with world(folder / "near", shared_database, None, "aaa") as made:
        yield made


WHO, KEY = st.integers(0, 2), st.sampled_from("xyz")
ONE = st.tuples(WHO, st.sampled_from(["read", "read", "write"]), KEY)
STEP = ONE | st.lists(ONE, min_size=2, max_size=4) | st.sampled_from(["kill", "start"])
QUIET = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def follow(world: World, steps: list[Any]) -> None:
    """Keys are new for each run, so that runs do not meet."""
    run = uuid4().hex[:8]
    for step in steps:
        if isinstance(step, list):
            world.at_once([(who, do, f"{run}{key}") for who, do, key in step])
        elif isinstance(step, tuple):
            who, do, key = step
            getattr(world, do)(who, f"{run}{key}")
        elif world.redis is not None and step == "kill" and world.redis.alive:
            world.redis.kill()
        elif world.redis is not None and step == "start" and not world.redis.alive:
            world.redis.start()


READ_ALL = [(who, "read", "x") for who in range(3)]


@QUIET
@example([*READ_ALL, (0, "write", "x"), *READ_ALL, "kill", *READ_ALL, (2, "write", "x"), *READ_ALL, "start", *READ_ALL])
@given(st.lists(STEP, max_size=30))
def test_no_read_is_older_than_the_last_write_while_redis_comes_and_goes(far_world: World, steps: list[Any]) -> None:
    follow(far_world, steps)
    assert far_world.redis is not None
    if not far_world.redis.alive:
        far_world.redis.start()
    far_world.settle()
    for key, written in far_world.written.items():
        for worker in far_world.workers:
            assert worker.ask("read", key=key)["value"] == max(value for value, _, _ in written)
    far_world.written.clear()


@QUIET
@given(st.lists(ONE | st.lists(ONE, min_size=2, max_size=4), max_size=30))
def test_processes_without_redis_agree_through_the_file_of_stamps(near_world: World, steps: list[Any]) -> None:
    follow(near_world, steps)


def computed(world: World) -> list[str]:
    return (world.folder / "computed").read_text().split()


def got_the_value(workers: list[Worker]) -> bool:
    """All who asked, and none of them held a connection while waiting: the one is that of the outbox's sweep."""
    answers = [worker.receive() for worker in workers]
    return all(answer["values"] == ["value"] and answer["connections"] <= 1 for answer in answers)


def test_ten_thousand_misses_are_one_computation_in_all(far_world: World) -> None:
    far_world.settle()
    (far_world.folder / "computed").write_text("")
    for worker in far_world.workers:
        worker.send("storm", key="storm", askers=10_000)
    assert got_the_value(far_world.workers)
    assert len(computed(far_world)) == 1


def test_ten_thousand_misses_without_redis_are_one_computation_per_process(near_world: World) -> None:
    (near_world.folder / "computed").write_text("")
    for worker in near_world.workers:
        worker.send("storm", key="storm", askers=10_000)
    assert got_the_value(near_world.workers)
    done = computed(near_world)
    assert len(done) == len(set(done)) <= 3


def test_another_process_takes_over_when_the_one_that_computes_dies(folder: Path, shared_database: str) -> None:
    (folder / "dying").mkdir()
    with redis(folder / "dying") as server, world(folder / "dying", shared_database, server) as made:
        made.settle()
        first, *others = made.workers
        first.send("storm", key="dying", askers=100, stuck=True)
        assert first.receive() == {"stuck": True}
        for worker in others:
            worker.send("storm", key="dying", askers=1_000)
        first.kill()
        assert got_the_value(others)
        done = computed(made)
        assert len(done) == 2
        assert len(set(done)) == 2
