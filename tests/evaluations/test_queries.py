"""Reads of evaluations and suites: complete pages in order, one statement each, by index on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import pytest

from autoforge.access import Actor
from autoforge.db import Database, ReadSession, count_statements, plans, trace
from autoforge.db.ids import new_id
from autoforge.errors import BadInput, NotFound
from autoforge.evaluations import queries, suite_queries
from autoforge.evaluations.cases import Outcome
from autoforge.evaluations.queries import Filters, ResultsAsked
from autoforge.evaluations.suite_commands import StoredSuite
from tests import make


class World:
    """A workspace with a suite, runs of it, and a prompt; ``stranger`` has another workspace."""

    def __init__(
        self, owner: Actor, stranger: Actor, suite: StoredSuite, prompt_id: UUID, runs: Sequence[UUID]
    ) -> None:
        self.owner, self.stranger, self.suite, self.prompt_id, self.runs = owner, stranger, suite, prompt_id, runs
        self.workspace = owner.workspace_id


async def _world(database: Database, cases: int = 8, runs: int = 3) -> World:
    async with database.write() as session:
        owner, stranger = [await make.actor(session, f"w{new_id().hex}") for _ in range(2)]
        suite = await make.suite(session, owner, cases)
        prompt_id, version_id = await make.prompt(session, owner)
        drafts = [{"prompt_id": prompt_id, "version_id": version_id, "model": f"model-{i % 2}"} for i in range(runs)]
        ids = [await make.evaluation(session, owner, suite, **draft) for draft in drafts]
        await make.evaluation(session, stranger)
    return World(owner, stranger, suite, prompt_id, ids)


async def _walk(fetch: Callable[[str | None], Awaitable[Any]]) -> list[Any]:
    """All rows of all pages."""
    rows: list[Any] = []
    after: str | None = None
    while True:
        page = await fetch(after)
        more, after = page if isinstance(page, tuple) else (page.rows, page.next)
        rows += more
        if after is None:
            return rows


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (lambda w: Filters(), [4, 3, 2, 1, 0]),
        (lambda w: Filters(prompt_id=w.prompt_id), [4, 3, 2, 1, 0]),
        (lambda w: Filters(prompt_id=w.prompt_id, suite_id=w.suite.suite_id, model="model-1"), [3, 1]),
        (lambda w: Filters(suite_id=w.suite.suite_id, status="completed"), [4, 3, 2, 1, 0]),
        (lambda w: Filters(model="model-0"), [4, 2, 0]),
        (lambda w: Filters(status="running"), []),
        (lambda w: Filters(words="DEL-1"), [3, 1]),
        (lambda w: Filters(words="%"), []),
        (lambda w: Filters(prompt_id=new_id()), []),
        (lambda w: Filters(suite_id=new_id()), []),
        (lambda w: Filters(batch_id=new_id()), []),
    ],
)
async def test_runs_are_listed_newest_first(
    database: Database, filters: Callable[[World], Filters], expected: list[int]
) -> None:
    world = await _world(database, runs=5)
    async with database.read() as session:
        rows = await _walk(lambda after: queries.page(session, world.workspace, filters(world), 2, after))
        others = await queries.page(session, world.stranger.workspace_id, Filters(prompt_id=world.prompt_id), 9)
        foreign = await queries.page(session, world.stranger.workspace_id, Filters(suite_id=world.suite.suite_id), 9)
    assert [row["id"] for row in rows] == [world.runs[index] for index in expected]
    assert others == foreign == ([], None)


async def test_only_the_fields_asked_for_are_read(database: Database) -> None:
    world = await _world(database)
    async with database.read() as session:
        items, _ = await queries.page(session, world.workspace, Filters(), 1, fields=("id", "score"))
    assert items == [{"id": world.runs[-1], "score": 0.5}]


SORTED: dict[str, Callable[[Any], Any]] = {
    "position": lambda row: row.position,
    "-position": lambda row: -row.position,
    "outcome": lambda row: (row.outcome, row.position),
    "-outcome": lambda row: (-row.outcome, -row.position),
    "score": lambda row: (row.score, row.position),
    "-score": lambda row: (-row.score, -row.position),
}


@pytest.mark.parametrize("sort", SORTED)
@pytest.mark.parametrize("outcome", [None, *Outcome])
async def test_results_come_in_order(database: Database, sort: str, outcome: Outcome | None) -> None:
    world = await _world(database, cases=11, runs=1)
    asked = ResultsAsked(sort, outcome)
    async with database.read() as session:
        rows = await _walk(lambda after: queries.results(session, world.runs[0], asked, 2, after))
        everything = (await queries.results(session, world.runs[0], ResultsAsked(), 50)).rows
    wanted = [
        row for row in everything if outcome is None or row.outcome == {"error": 0, "fail": 1, "pass": 2}[outcome]
    ]
    assert [row.position for row in rows] == [row.position for row in sorted(wanted, key=SORTED[sort])]
    assert len(everything) == 11


async def test_results_with_a_metric(database: Database) -> None:
    world = await _world(database, runs=1)
    async with database.read() as session:
        found = await queries.results(session, world.runs[0], ResultsAsked(metric="exact"), 50)
        none = await queries.results(session, world.runs[0], ResultsAsked(metric='ex"%_act'), 50)
    assert (len(found.rows), len(none.rows)) == (8, 0)


async def test_a_cursor_belongs_to_its_list(database: Database) -> None:
    world = await _world(database)
    async with database.read() as session:
        _, following = await queries.page(session, world.workspace, Filters(), 1)
        for cursor in (following, "x", "é", "AAAA"):
            with pytest.raises(BadInput):
                await queries.results(session, world.runs[0], ResultsAsked(), 1, cursor)


async def test_what_others_have_does_not_exist(database: Database) -> None:
    world = await _world(database)
    theirs = world.stranger.workspace_id
    async with database.read() as session:
        with pytest.raises(NotFound):
            await queries.one(session, theirs, world.runs[0])
        with pytest.raises(NotFound):
            await queries.some(session, theirs, world.runs[:2])
        with pytest.raises(NotFound):
            await suite_queries.one(session, theirs, world.suite.suite_id)


async def test_a_case_is_found_in_other_runs(database: Database) -> None:
    world = await _world(database)
    async with database.read() as session:
        row = await queries.result(session, world.runs[0], 3)
        others = await queries.elsewhere(session, world.runs[0], row.case_id)
    assert [other.run_id for other in others] == [world.runs[2], world.runs[1]]
    assert row.case == "case 3"


async def test_suites_and_their_cases(database: Database) -> None:
    world = await _world(database, cases=7)
    async with database.read() as session:
        (suite, *_), _ = await suite_queries.page(session, world.workspace, 10, sort="name")
        cases = await _walk(lambda after: suite_queries.cases(session, world.suite.suite_id, 3, after))
        found = await suite_queries.cases(session, world.suite.suite_id, 9, words="case 5")
        stored = await suite_queries.whole(session, world.suite.suite_id, most=100)
    assert (suite["cases"], suite["evaluations"], round(suite["latest_score"], 4)) == (7, 3, 0.5714)
    assert [row.id for row in cases] == list(world.suite.case_ids) == list(stored.case_ids)
    assert list(stored.cases) == list(world.suite.cases)
    assert [row.position for row in found.rows] == [5]


@pytest.mark.parametrize("cases", [99, 100, 101, 230])
async def test_a_suite_is_read_whole_however_many_cases_it_has(database: Database, cases: int) -> None:
    world = await _world(database, cases=cases)
    async with database.read() as session:
        stored = await suite_queries.whole(session, world.suite.suite_id, most=1_000)
        some = await suite_queries.whole(session, world.suite.suite_id, most=50)
        measured = [row async for rows in queries.measured(session, world.runs[0], cases) for row in rows]
    assert list(stored.case_ids) == list(world.suite.case_ids)
    assert len(some.case_ids) == 51
    assert len(measured) == cases


async def _drain(rows: AsyncIterator[Any]) -> None:
    async for _ in rows:
        pass


async def _read_all(session: ReadSession, world: World) -> None:
    """Every read of this room once."""
    workspace, run, suite = world.workspace, world.runs[0], world.suite.suite_id
    for filters in (
        Filters(),
        Filters(prompt_id=world.prompt_id),
        Filters(suite_id=suite),
        Filters(status="completed"),
        Filters(batch_id=new_id()),
    ):
        _, following = await queries.page(session, workspace, filters, 2)
        await queries.page(session, workspace, filters, 2, following)
    for sort in SORTED:
        for outcome in (None, Outcome.PASS):
            for with_case in (False, True):
                asked = ResultsAsked(sort, outcome, with_case=with_case)
                results = await queries.results(session, run, asked, 2)
                await queries.results(session, run, asked, 2, results.next)
    await queries.one(session, workspace, run)
    await queries.some(session, workspace, world.runs[:2])
    row = await queries.result(session, run, 1)
    await queries.elsewhere(session, run, row.case_id)
    await queries.side_by_side(session, run, [1, 2])
    for rows in (
        queries.every_result(session, run),
        queries.measured(session, run, 1_000),
        queries.measured(session, run, 1),
        queries.scored(session, world.runs),
    ):
        await _drain(rows)
    for sort in ("-created_at", "name"):
        _, following = await suite_queries.page(session, workspace, 1, sort=sort)
        await suite_queries.page(session, workspace, 1, following, sort=sort)
    await suite_queries.one(session, workspace, suite)
    await suite_queries.cases(session, suite, 2)
    await suite_queries.whole(session, suite, most=100)


async def test_the_number_of_statements_does_not_depend_on_the_rows(database: Database) -> None:
    counts = []
    for size in (4, 8):
        world = await _world(database, cases=size, runs=size)
        async with database.read() as session:
            with count_statements() as seen:
                await _read_all(session, world)
        counts.append(seen.count)
    assert counts[0] == counts[1]


async def _fill(database: Database, world: World) -> None:
    """Many rows of every table, in several workspaces, so that an index is worth its while."""
    async with database.write(bulk=True) as session:
        for owner in (world.owner, world.stranger):
            keys = await make.prompts(session, owner, 300)
            for prompt_id, version_id in keys[::10]:
                await make.evaluations(session, owner, 60, prompt_id=prompt_id, version_id=version_id)
            for index in range(12):
                suite = await make.suite(session, owner, 150)
                await make.evaluation(session, owner, suite, model=f"m{index}")
            for _ in range(300):
                await make.suite(session, owner, 1)
    async with database.write() as session:
        await make.analyze(session)


ALLOWED = {
    "evaluations.list_of_batch": "the runs of one command are few; they are found by index and then sorted",
    "suites.every_case": "one whole suite is read; PostgreSQL may find it cheaper to sort it",
}


async def test_every_read_uses_an_index(database: Database) -> None:
    world = await _world(database, cases=150, runs=6)
    await _fill(database, world)
    collected = plans.Collected()
    stop = trace.add_hook(collected)
    try:
        async with database.read() as session:
            await _read_all(session, world)
    finally:
        stop()
    found = []
    async with database.read() as session:
        for ran in collected.examples.values():
            found += await plans.findings(session, ran.name, ran.sql, ran.bound)
    assert [f"{one.statement}: {one.detail}" for one in plans.unexpected(found, ALLOWED)] == []
