"""Importing records in bulk: whole histories, once each, in a number of statements that batches alone decide."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextvars import Context
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from autoforge.access import Actor
from autoforge.db import Database, count_statements, search
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.errors import BadInput, Conflict
from autoforge.prompts import bulk_commands, commands, version_commands
from autoforge.prompts.bulk_commands import Imported
from autoforge.prompts.commands import Draft
from autoforge.prompts.content import from_text
from autoforge.prompts.exporting import Wanted, export_records
from autoforge.prompts.formats.records import PromptRecord, RowError, VersionRecord
from autoforge.prompts.importing import below, import_all, parse_mapping
from tests.prompts.test_commands import found, row_of

LONG_AGO = datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def record(name: str = "p", *texts: str, **more: Any) -> PromptRecord:
    """A prompt whose versions follow each other."""
    versions = tuple(
        VersionRecord(number, from_text(text), (number - 1,) if number > 1 else (), f"m{number}", LONG_AGO)
        for number, text in enumerate(texts or ("hello",), 1)
    )
    return PromptRecord(name, versions, **{"branches": {"main": len(versions)}, **more})


async def bring(database: Database, actor: Actor, *records: PromptRecord | RowError, **more: Any) -> Imported:
    return await import_all(database, actor, records, **more)


async def exported(database: Database, actor: Actor, wanted: Wanted | None = None) -> list[PromptRecord]:
    async with database.read() as session:
        return [one async for one in export_records(session, actor.workspace_id, wanted or Wanted())]


def counts(report: Imported) -> tuple[int, int, int, int]:
    return report.created, report.extended, report.unchanged, report.failed


async def count(database: Database, table: Any) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


MERGED = PromptRecord(
    name="deep/er/name",
    title="A title, with commas",
    description="Two\nlines",
    tags=("a", "é,ü"),
    status="active",
    versions=(
        VersionRecord(2, from_text("base"), (), "", LONG_AGO),
        VersionRecord(3, from_text("ours"), (2,), "", LONG_AGO),
        VersionRecord(7, from_text("theirs"), (2,), "", LONG_AGO),
        VersionRecord(9, from_text("both"), (7, 3), "Merge", LONG_AGO),
    ),
    branches={"main": 9, "idea": 7},
    labels={"production": 3},
)


async def test_whole_histories_come_back_as_they_were(database: Database, owner: Actor) -> None:
    sent = [MERGED, record("a", "one", "two", labels={"live": 1})]
    report = await bring(database, owner, *sent)
    assert (counts(report), report.stored) == ((2, 0, 0, 0), True)
    assert await exported(database, owner) == [sent[1], sent[0]]
    assert await found(database, owner, "both") == ["deep/er/name"]
    assert await found(database, owner, "theirs") == []  # only what main is at is found
    row = await row_of(database, (await _prompt_ids(database))["deep/er/name"])
    assert (row.latest_number, row.created_at, row.is_sample) == (9, LONG_AGO, False)


async def test_the_same_again_changes_nothing(database: Database, owner: Actor) -> None:
    await bring(database, owner, MERGED, record("a", "one"))
    before = [await row_of(database, prompt_id) for prompt_id in (await _prompt_ids(database)).values()]
    report = await bring(database, owner, MERGED, record("a", "one"))
    assert counts(report) == (0, 0, 2, 0)
    assert [await row_of(database, prompt_id) for prompt_id in (await _prompt_ids(database)).values()] == before
    assert await count(database, m.PromptHeadMove) == 0


async def _prompt_ids(database: Database) -> dict[str, Any]:
    async with database.read() as session:
        return dict(await session.all(select(m.Prompt.name, m.Prompt.id).order_by(m.Prompt.name)))  # type: ignore[arg-type]


async def test_what_is_new_is_appended_to_what_is_there(database: Database, owner: Actor) -> None:
    async with database.write() as session:
        made = await commands.create(session, owner, Draft("p", from_text("one"), title="Mine", labels=["live"]))
        await version_commands.save(session, owner, made.prompt_id, from_text("local"))
    later = record("p", "one", "two", "three", title="Theirs", branches={"main": 3, "idea": 2}, labels={"live": 3})
    assert counts(await bring(database, owner, later)) == (0, 1, 0, 0)
    (now,) = await exported(database, owner)
    assert [(v.number, v.parents, v.message) for v in now.versions] == [
        (1, (), ""),
        (2, (1,), ""),
        (3, (1,), "m2"),
        (4, (3,), "m3"),
    ]
    assert (now.title, now.branches, now.labels) == ("Mine", {"main": 4, "idea": 3}, {"live": 4})
    row = await row_of(database, made.prompt_id)
    assert (row.latest_number, row.row_version) == (4, 3)
    assert await found(database, owner, "local") == []
    assert await found(database, owner, "mine three") == ["p"]


async def test_an_import_never_takes_back_what_happened_since(database: Database, owner: Actor) -> None:
    old = record("p", "one", "two", labels={"live": 1})
    await bring(database, owner, old)
    prompt_id = (await _prompt_ids(database))["p"]
    async with database.write() as session:
        await version_commands.save(session, owner, prompt_id, from_text("three"))
        await version_commands.move_head(session, owner, prompt_id, "label", "live", 3)
    assert counts(await bring(database, owner, old)) == (0, 0, 1, 0)
    (now,) = await exported(database, owner)
    assert (now.branches, now.labels) == ({"main": 3}, {"live": 3})


async def test_a_single_new_text_comes_from_what_was_at_main(database: Database, owner: Actor) -> None:
    await bring(database, owner, record("p", "one"))
    await bring(database, owner, record("p", "two"))
    (now,) = await exported(database, owner)
    assert [(v.number, v.parents) for v in now.versions] == [(1, ()), (2, (1,))]
    assert now.branches == {"main": 2}


async def test_equal_contents_in_one_record_are_one_version(database: Database, owner: Actor) -> None:
    await bring(database, owner, record("p", "one", "two", "one", labels={"again": 3}))
    (now,) = await exported(database, owner)
    assert [v.number for v in now.versions] == [1, 2]
    assert (now.branches, now.labels) == ({"main": 1}, {"again": 1})


async def test_records_of_one_name_follow_each_other(database: Database, owner: Actor) -> None:
    report = await bring(database, owner, record("p", "one"), record("q"), record("p", "two"), record("p", "two"))
    assert counts(report) == (2, 1, 1, 0)
    assert len((await exported(database, owner))[0].versions) == 2


@pytest.mark.parametrize("batch", [1, 2, 1000])
async def test_each_is_found_by_its_newest_words_however_it_was_cut(
    database: Database, owner: Actor, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_commands, "BATCH", batch)
    await bring(database, owner, record("p", "früh"), record("q", '"quoted" \\ 東京'), record("p", "late"), record("r"))

    assert await found(database, owner, "late") == ["p"]
    assert await found(database, owner, "früh") == []
    assert await found(database, owner, "quoted") == await found(database, owner, "東京") == ["q"]


async def test_a_sample_that_is_extended_is_nobody_s_sample_any_more(database: Database, owner: Actor) -> None:
    async with database.write() as session:
        made = await commands.create(session, owner, Draft("p", from_text("one"), is_sample=True))
    await bring(database, owner, record("p", "one"))
    assert (await row_of(database, made.prompt_id)).is_sample
    await bring(database, owner, record("p", "two"))
    assert not (await row_of(database, made.prompt_id)).is_sample


async def test_one_bad_row_undoes_all_and_all_bad_rows_are_named(database: Database, owner: Actor) -> None:
    bad = [RowError(line, f"no prompt {line}") for line in (2, 5)]
    report = await bring(database, owner, record("a"), bad[0], record("b"), bad[1])
    assert (counts(report), report.stored, report.errors) == ((2, 0, 0, 2), False, bad)
    assert await exported(database, owner) == []
    report = await bring(database, owner, record("a"), bad[0], record("b"), skip_bad=True)
    assert (counts(report), report.stored) == ((2, 0, 0, 1), True)
    assert len(await exported(database, owner)) == 2


async def test_a_dry_run_tells_and_keeps_nothing(database: Database, owner: Actor) -> None:
    forgotten: list[str] = []
    database.touched = forgotten.extend
    report = await bring(database, owner, record("a"), record("b"), dry_run=True)
    assert (counts(report), report.stored) == ((2, 0, 0, 0), False)
    assert (await exported(database, owner), forgotten) == ([], [])
    await bring(database, owner, record("a"))
    assert forgotten == [f"prompts:{owner.workspace_id.hex}", f"served:{owner.workspace_id.hex}"]


async def test_a_reader_that_breaks_half_way_leaves_nothing(database: Database, owner: Actor) -> None:
    def breaking() -> Iterator[PromptRecord]:
        for number in range(bulk_commands.BATCH + 10):
            yield record(f"p{number}")
        raise BadInput("the rest of the file cannot be read")

    with pytest.raises(BadInput, match="the rest"):
        await import_all(database, owner, breaking())
    assert await exported(database, owner) == []


async def test_what_others_have_is_neither_seen_nor_touched(database: Database, owner: Actor, stranger: Actor) -> None:
    await bring(database, stranger, record("p", "theirs"))
    assert counts(await bring(database, owner, record("p", "ours"))) == (1, 0, 0, 0)
    assert [one.current.content for one in await exported(database, owner)] == [from_text("ours")]
    async with database.write() as session:
        await commands.delete(session, stranger, (await _ids_of(database, stranger))[0])
    assert counts(await bring(database, stranger, record("p", "theirs"))) == (1, 0, 0, 0)


async def _ids_of(database: Database, actor: Actor) -> list[Any]:
    async with database.read() as session:
        rows = await session.all(select(m.Prompt.id).where(m.Prompt.workspace_id == actor.workspace_id))
    return [row.id for row in rows]


@pytest.mark.parametrize("known", [False, True])
async def test_statements_depend_on_batches_only(
    database: Database, owner: Actor, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_commands, "BATCH", 20)

    async def statements(prefix: str, number: int) -> int:
        records = [record(f"{prefix}{n}", "one", "two", labels={"live": 1}) for n in range(number)]
        if known:
            await bring(database, owner, *records)
        with count_statements() as counting:
            await bring(database, owner, *(records if not known else _longer(records)))
        return counting.count

    first = await statements("a", 5)
    assert await statements("b", 20) == first
    assert await statements("c", 40) <= 2 * first + 2


def _longer(records: Iterable[PromptRecord]) -> list[PromptRecord]:
    return [record(one.name, "one", "two", "three") for one in records]


async def test_export_costs_three_statements_and_takes_a_folder_or_names(database: Database, owner: Actor) -> None:
    names = ["a", "a/x", "a/x/y", "a0", "ab/x", "b"]
    await bring(database, owner, *(record(name, f"text of {name}", "more") for name in names))
    with count_statements() as counting:
        assert [one.name for one in await exported(database, owner)] == names
    assert counting.count == 3
    assert [one.name for one in await exported(database, owner, Wanted("a"))] == ["a/x", "a/x/y"]
    assert [one.name for one in await exported(database, owner, Wanted("/a/x/"))] == ["a/x/y"]
    assert [one.name for one in await exported(database, owner, Wanted(names=["b", "a0"]))] == ["a0", "b"]


async def test_stopping_an_export_early_leaves_the_session_in_order(database: Database, owner: Actor) -> None:
    await bring(database, owner, *(record(f"p{n}") for n in range(450)))
    async with database.read() as session:
        async for _ in export_records(session, owner.workspace_id):
            break
        assert await session.scalar(select(func.count()).select_from(m.Prompt)) == 450


async def test_a_name_that_somebody_takes_meanwhile_is_a_conflict(database: Database, owner: Actor) -> None:
    if database.dialect == "sqlite":
        pytest.skip("SQLite has one writer: nobody can")
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with database.write() as session:
        await commands.create(session, owner, Draft("taken", from_text("x")))
        # Not committed: the import does not see the name yet, and waits at the unique index.
        running = asyncio.create_task(bring(database, owner, record("taken")), context=Context())
        while not await session.scalar(waiting):
            assert not running.done()
    with pytest.raises(Conflict, match="Run it again"):
        await running


def test_mappings() -> None:
    assert parse_mapping(["question=prompt", "a=b=title"]) == {"prompt": "question", "title": "a=b"}
    for bad in (["x"], ["=prompt"], ["x="], ["a=prompt", "b=prompt"]):
        with pytest.raises(BadInput):
            parse_mapping(bad)


def test_records_are_put_below_a_folder() -> None:
    error = RowError(3, "no")
    assert [getattr(one, "name", one) for one in below("/a/b/", [record("x"), error])] == ["a/b/x", error]
    assert isinstance(next(below("f" * 150, [record("x" * 100)])), RowError)
    with pytest.raises(BadInput):
        next(below("a@b", [record("x")]))


words = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=60)


@given(st.lists(words | st.text("aB9 _-", max_size=200), max_size=4))
def test_documents_hold_the_tokens_that_are_looked_for(texts: list[str]) -> None:
    workspace = new_id()
    assert set(search.document(workspace, *texts).split(" ")) - {""} == set(search.document_tokens(workspace, *texts))
