"""Reading prompts and templates: lists, filters, search, cursors, and what a page costs whatever there is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from autoforge.access import Actor
from autoforge.db import Database, ReadSession, clock, count_statements, plans, trace
from autoforge.db import models as m
from autoforge.db.bulk import insert_many
from autoforge.db.ids import new_id
from autoforge.errors import BadInput, NotFound
from autoforge.prompts import commands, queries, template_commands, template_queries, version_commands, version_queries
from autoforge.prompts.commands import Created, Draft
from autoforge.prompts.content import canonical_json, from_text
from autoforge.prompts.exporting import export_records
from autoforge.prompts.formats.records import PromptRecord, VersionRecord
from autoforge.prompts.importing import import_all
from autoforge.prompts.names import Reference
from autoforge.prompts.queries import Listing
from autoforge.prompts.template_commands import TemplateDraft
from tests import make
from tests.prompts.test_commands import create, found


async def listed(database: Database, actor: Actor, limit: int = 50, **asked: Any) -> list[dict[str, Any]]:
    """All items of the list, page by page."""
    items: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        async with database.read() as session:
            page, after = await queries.page(session, actor.workspace_id, Listing(**asked), limit, after)
        assert len(page) <= limit
        items += page
        if after is None:
            return items


async def names(database: Database, actor: Actor, limit: int = 50, **asked: Any) -> list[str]:
    return [item["name"] for item in await listed(database, actor, limit, **asked)]


class TestLists:
    async def test_an_item_has_its_labels_owner_and_latest_evaluation(self, database: Database, owner: Actor) -> None:
        made = await create(database, owner, "p", labels=["live", "b-1"], tags=["x"], title="T")
        async with database.write() as session:
            await version_commands.save(session, owner, made.prompt_id, from_text("two"))
            mine = {"prompt_id": made.prompt_id, "version_id": made.version_id}
            await make.evaluations(session, owner, 3, score=0.25, **mine)
            later = clock.now() + timedelta(hours=1)
            (latest,) = await make.evaluations(session, owner, 1, score=0.75, created_at=later, **mine)
        (item,) = await listed(database, owner)
        assert item["labels"] == [{"name": "b-1", "number": 1}, {"name": "live", "number": 1}]
        assert (item["head_number"], item["owner"], item["tags"], item["title"]) == (2, owner.user_name, ["x"], "T")
        assert item["latest"] == {"evaluation_id": latest, "score": 0.75, "cases": 4, "model": "gpt", "version": 1}

    @pytest.mark.parametrize("sort", ["name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"])
    async def test_pages_in_every_order_hold_everything_once(self, database: Database, owner: Actor, sort: str) -> None:
        moment = clock.now()
        with clock.running_on(lambda: moment):  # all at the same time: the key decides
            for name in ("b", "a", "B", "é", "a/b", "c", "z"):
                await create(database, owner, name)
        seen = await names(database, owner, 2, sort=sort)
        assert sorted(seen) == sorted(["b", "a", "B", "é", "a/b", "c", "z"])
        if sort.endswith("name"):
            assert seen == sorted(seen, reverse=sort.startswith("-"))

    async def test_filters(self, database: Database, owner: Actor, stranger: Actor) -> None:
        for name, status in (("a/x", "draft"), ("a/y", "active"), ("a0", "active"), ("b", "archived")):
            await create(database, owner, name, status=status)
        await create(database, stranger, "a/z", status="active")
        gone = await create(database, owner, "a/gone")
        async with database.write() as session:
            await commands.delete(session, owner, gone.prompt_id)
        assert await names(database, owner, sort="name") == ["a/x", "a/y", "a0", "b"]
        assert await names(database, owner, status="active", sort="name") == ["a/y", "a0"]
        assert await names(database, owner, folder="a", sort="name") == ["a/x", "a/y"]
        assert await names(database, owner, folder="/a/", status="active") == ["a/y"]
        assert await names(database, owner, status="deleted") == ["a/gone"]
        assert await names(database, owner, owner_id=stranger.user_id) == []
        assert len(await names(database, owner, owner_id=owner.user_id)) == 4

    async def test_only_the_columns_asked_for_are_read(self, database: Database, owner: Actor) -> None:
        await create(database, owner)
        with count_statements() as counting:
            (item,) = await listed(database, owner, fields=("id", "name"))
        assert set(item) == {"id", "name"}
        selected = counting.statements[0].sql.partition("FROM")[0]
        assert "prompts.name" in selected
        for absent in ("title", "tags", "labels", "evaluation", "status"):
            assert absent not in selected
        assert "JOIN" not in counting.statements[0].sql

    async def test_a_cursor_belongs_to_its_list(self, database: Database, owner: Actor) -> None:
        for name in "abc":
            await create(database, owner, name)
        async with database.read() as session:
            _, after = await queries.page(session, owner.workspace_id, Listing(sort="name"), 1, None)
        for asked in (Listing(sort="-name"), Listing(sort="name", status="draft"), Listing(sort="created_at")):
            with pytest.raises(BadInput, match="cursor"):
                async with database.read() as session:
                    await queries.page(session, owner.workspace_id, asked, 1, after)

    @pytest.mark.parametrize("sort", ["title", "-", "", "name desc"])
    async def test_other_sorts_are_refused(self, database: Database, owner: Actor, sort: str) -> None:
        for words in (None, "search"):
            with pytest.raises(BadInput, match="sorted by"):
                await listed(database, owner, sort=sort, words=words)


class TestSearch:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("Summarise the article", "article"),
            ("Summarise the article", "SUMMARISE artic"),
            ("Summarise the article", "sum"),
            ("un résumé fidèle", "resume"),
            ("plain resume", "résumé"),
            ("東京都の天気を説明してください", "天気"),
            ("東京都の天気を説明してください", "都"),
            ("한국어 문장입니다", "문장"),
            ("ﬁne ｗｉｄｅ letters", "fine wide"),
            ("it's 100% {{user_name}}", "user_name"),
        ],
    )
    async def test_finds(self, database: Database, owner: Actor, content: str, words: str) -> None:
        await create(database, owner, "wanted", content)
        await create(database, owner, "other", "nothing of that")
        assert await found(database, owner, words) == ["wanted"]

    @pytest.mark.parametrize(
        "words", ["cle", "article missing", "!!!", '"', "a AND", "* OR x", "' | 'x", "天候", ":*&"]
    )
    async def test_does_not_find(self, database: Database, owner: Actor, words: str) -> None:
        await create(database, owner, "p", "Summarise the article 天気")
        assert await found(database, owner, words) == []

    async def test_nothing_of_another_workspace(self, database: Database, owner: Actor, stranger: Actor) -> None:
        await create(database, owner, "mine", "elephant")
        await create(database, stranger, "theirs", "elephant")
        assert await found(database, owner, "elephant") == ["mine"]
        assert await found(database, owner, f"workspace{stranger.workspace_id.hex} elephant") == []

    async def test_newest_first_page_by_page_and_filtered(self, database: Database, owner: Actor) -> None:
        for number in range(5):
            await create(database, owner, f"f/{number}", "zebra", status="active" if number % 2 else "draft")
        assert await names(database, owner, 2, words="zebra") == ["f/4", "f/3", "f/2", "f/1", "f/0"]
        assert await names(database, owner, 1, words="zebra", status="active") == ["f/3", "f/1"]
        assert await names(database, owner, words="zebra", folder="g") == []


class TestOne:
    async def test_of_the_workspace_only(self, database: Database, owner: Actor, stranger: Actor) -> None:
        made = await create(database, owner, "p", title="T", tags=["a"])
        async with database.read() as session:
            one = await queries.one(session, owner.workspace_id, made.prompt_id)
            assert (one["name"], one["tags"], one["versions"], one["evaluations"]) == ("p", ["a"], 1, 0)
            for ask in (queries.one, queries.must_exist):
                with pytest.raises(NotFound):
                    await ask(session, stranger.workspace_id, made.prompt_id)

    async def test_versions_page_by_number(self, database: Database, owner: Actor) -> None:
        made = await create(database, owner)
        async with database.write() as session:
            for number in range(2, 6):
                await version_commands.save(session, owner, made.prompt_id, from_text(str(number)))
        async with database.read() as session:
            first = await version_queries.newest(session, made.prompt_id, 2)
            rest = await version_queries.newest(session, made.prompt_id, 9, first[-1]["number"])
        assert [one["number"] for one in (*first, *rest)] == [5, 4, 3, 2, 1]
        assert "content" not in first[0]


class TestTemplates:
    async def add(self, database: Database, actor: Actor, name: str, **more: Any) -> UUID:
        async with database.write() as session:
            return await template_commands.create(session, actor, TemplateDraft(name, from_text(name), **more))

    async def seen(self, database: Database, actor: Actor, sort: str = "-created_at", **more: Any) -> list[str]:
        items: list[str] = []
        after: str | None = None
        while True:
            async with database.read() as session:
                page, after = await template_queries.page(
                    session, actor.workspace_id, sort, more.get("category"), more.get("limit", 50), after
                )
            items += [item["name"] for item in page]
            if after is None:
                return items

    async def test_own_and_public_ones_in_one_statement(
        self, database: Database, owner: Actor, stranger: Actor
    ) -> None:
        await self.add(database, owner, "mine")
        await self.add(database, stranger, "secret")
        await self.add(database, stranger, "shared", visibility="public", category="x")
        await self.add(database, owner, "shown", visibility="public")
        with count_statements() as counting:
            assert await self.seen(database, owner) == ["shown", "shared", "mine"]
        assert counting.count == 1
        assert await self.seen(database, owner, limit=1) == ["shown", "shared", "mine"]
        assert await self.seen(database, owner, category="x") == ["shared"]
        async with database.read() as session:
            page, _ = await template_queries.page(session, owner.workspace_id, "-created_at", None, 50, None)
            assert [item["is_own"] for item in page] == [True, False, True]
            assert await template_queries.categories(session, owner.workspace_id) == ["x"]

    async def test_each_category_is_named_once(self, database: Database, owner: Actor, stranger: Actor) -> None:
        for number, category in enumerate(("b", "c", "b", "", "a", "a")):
            await self.add(database, owner, f"{number}", category=category)
            await self.add(database, stranger, f"{number}", category=f"{category}2", visibility="public")
            await self.add(database, stranger, f"secret {number}", category=f"{category}3")
        async with database.read() as session:
            found = await template_queries.categories(session, owner.workspace_id)
        assert found == ["2", "a", "a2", "b", "b2", "c", "c2"]

    async def test_using_one_counts_in_the_same_transaction(
        self, database: Database, owner: Actor, stranger: Actor
    ) -> None:
        shared = await self.add(database, stranger, "shared", visibility="public")
        secret = await self.add(database, stranger, "secret")
        await self.add(database, owner, "mine")
        async with database.write() as session:
            await template_commands.use(session, owner, shared, "from/template")
        for template, name in ((shared, "from/template"), (secret, "x"), (shared, "bad@name")):
            with pytest.raises((BadInput, NotFound, commands.Conflict)):
                async with database.write() as session:
                    await template_commands.use(session, owner, template, name)
        async with database.read() as session:
            assert (await template_queries.one(session, owner.workspace_id, shared))["usage_count"] == 1
            with pytest.raises(NotFound):
                await template_queries.one(session, owner.workspace_id, secret)
        assert await self.seen(database, owner, "-usage_count") == ["shared", "mine"]
        assert await names(database, owner) == ["from/template"]

    async def test_nobody_changes_what_is_not_theirs(self, database: Database, owner: Actor, stranger: Actor) -> None:
        shared = await self.add(database, stranger, "shared", visibility="public")
        for attempt in (template_commands.delete, template_commands.restore):
            with pytest.raises(NotFound):
                async with database.write() as session:
                    await attempt(session, owner, shared)
        with pytest.raises(NotFound):
            async with database.write() as session:
                await template_commands.edit(session, owner, shared, {"name": "mine"})


async def fill(database: Database, actor: Actor, number: int, prefix: str) -> list[UUID]:
    """Prompts with two versions, a label, its move and two evaluations each."""
    versions = (VersionRecord(1, from_text(f"{prefix} one")), VersionRecord(2, from_text(f"{prefix} two"), (1,)))
    records = [
        PromptRecord(f"{prefix}/{n:05}", versions, branches={"main": 2}, labels={"live": 1}) for n in range(number)
    ]
    await import_all(database, actor, records)
    async with database.write() as session:
        heads = select(m.PromptHead.prompt_id, m.PromptHead.version_id).where(m.PromptHead.kind == "label")
        mine = heads.join(m.Prompt, m.Prompt.id == m.PromptHead.prompt_id).where(m.Prompt.name.startswith(prefix))
        made = [Created(*row) for row in await session.all(mine.order_by(m.Prompt.name))]
        moves = [commands.move_row(actor, one, "label", "live") for one in made for _ in range(2)]
        await insert_many(session, m.PromptHeadMove, moves)
        ran = {
            "workspace_id": actor.workspace_id,
            "batch_id": new_id(),
            "name": "",
            "status": "completed",
            "model": "m",
        }
        ran |= {"created_by": actor.user_id, "created_at": clock.now(), "score": 0.5}
        evaluations = [{"id": new_id(), "prompt_id": one.prompt_id, **ran} for one in made for _ in range(2)]
        await insert_many(session, m.Evaluation, evaluations)
        scored = {"workspace_id": actor.workspace_id, "evaluations": 2, "average": 0.5}
        await insert_many(session, m.PromptScore, [{"prompt_id": one.prompt_id, **scored} for one in made])
    return [one.prompt_id for one in made]


READS: Sequence[tuple[str, Callable[[ReadSession, Actor, UUID], Any]]] = (
    ("newest", lambda s, a, _: queries.page(s, a.workspace_id, Listing(), 50, None)),
    ("by name", lambda s, a, _: queries.page(s, a.workspace_id, Listing(sort="name"), 50, None)),
    ("updated", lambda s, a, _: queries.page(s, a.workspace_id, Listing(sort="-updated_at"), 50, None)),
    ("status", lambda s, a, _: queries.page(s, a.workspace_id, Listing(status="draft"), 50, None)),
    ("deleted", lambda s, a, _: queries.page(s, a.workspace_id, Listing(status="deleted"), 50, None)),
    ("mine", lambda s, a, _: queries.page(s, a.workspace_id, Listing(owner_id=a.user_id), 50, None)),
    ("folder", lambda s, a, _: queries.page(s, a.workspace_id, Listing(folder="a", sort="name"), 50, None)),
    ("search", lambda s, a, _: queries.page(s, a.workspace_id, Listing(words="two"), 50, None)),
    ("one", lambda s, a, prompt: queries.one(s, a.workspace_id, prompt)),
    ("versions", lambda s, _, prompt: version_queries.newest(s, prompt, 50)),
    ("version", lambda s, _, prompt: version_queries.one(s, prompt, 2)),
    ("two versions", lambda s, _, prompt: version_queries.several(s, prompt, (1, 2))),
    ("neighbours", lambda s, _, prompt: version_queries.neighbours(s, prompt, 2)),
    ("heads", lambda s, _, prompt: version_queries.heads(s, prompt)),
    ("moves", lambda s, _, prompt: version_queries.moves(s, prompt)),
    ("by label", lambda s, a, _: version_queries.referenced(s, a.workspace_id, Reference("a/00001", head="live"))),
    ("by main", lambda s, a, _: version_queries.referenced(s, a.workspace_id, Reference("a/00001"))),
    ("beside one", lambda s, a, prompt: queries.one_with_beside(s, a.workspace_id, prompt)),
    ("by number", lambda s, a, _: version_queries.referenced(s, a.workspace_id, Reference("a/00001", 1))),
    ("templates", lambda s, a, _: template_queries.page(s, a.workspace_id, "-created_at", None, 50, None)),
    ("most used", lambda s, a, _: template_queries.page(s, a.workspace_id, "-usage_count", None, 50, None)),
)


async def test_no_read_costs_more_statements_when_there_is_more(database: Database, owner: Actor) -> None:
    async def costs(prompt: UUID) -> dict[str, int]:
        found = {}
        for name, read in READS:
            with count_statements() as counting:
                async with database.read() as session:
                    await read(session, owner, prompt)
            found[name] = counting.count
        return found

    prompt = (await fill(database, owner, 20, "a"))[0]
    before = await costs(prompt)
    assert set(before.values()) == {1}
    await fill(database, owner, 40, "b")
    assert await costs(prompt) == before


def _template(number: int, actor: Actor) -> dict[str, Any]:
    row = {"id": new_id(), "workspace_id": actor.workspace_id, "owner_id": actor.user_id, "name": f"t{number}"}
    row |= {"visibility": ("private", "public")[number % 2], "content": canonical_json(from_text("x"))}
    return {**row, "usage_count": number % 7, "created_at": clock.now(), "updated_at": clock.now()}


# Statements that may read or sort everything, and why.
MEANT = {
    "export.versions": "an export reads everything; SQLite does it in the order of an index, PostgreSQL may sort",
    "export.heads": "the same",
    "export.parents": "the same",
}
SORTS = {
    "templates.page": "a page of one's own and a page of public ones, merged",
    "versions.heads": "the few heads of one prompt, found by its key",
    "versions.by_head": "a label and a branch of the same name: two rows at most",
}


def _matters(finding: plans.Finding) -> bool:
    """PostgreSQL sorts a handful of rows by a key to join them: that is no sort of a table."""
    few = re.search(r"about \d rows", finding.detail)
    is_sort = finding.what == "temporary sort"
    return finding.statement not in MEANT and not (is_sort and (few or finding.statement in SORTS))


async def test_every_read_has_an_index(database: Database, owner: Actor, stranger: Actor) -> None:
    prompts = await fill(database, owner, 3000, "a")
    prompt = prompts[0]
    await fill(database, stranger, 1000, "b")
    async with database.write() as session:
        await insert_many(session, m.Template, [_template(n, owner if n % 3 else stranger) for n in range(4000)])
        for number in range(300):
            await make.actor(session, f"w{number}")
        for key in prompts[1000:1400]:
            await commands.delete(session, owner, key)
        await make.analyze(session)
    collected = plans.Collected()
    stop = trace.add_hook(collected)
    try:
        async with database.read() as session:
            for _, read in READS:
                await read(session, owner, prompt)
            async for _ in export_records(session, owner.workspace_id):
                break
    finally:
        stop()
    async with database.read() as session:
        wrong = [
            finding
            for ran in collected.examples.values()
            for finding in await plans.findings(session, ran.name, ran.sql, ran.bound)
        ]
    assert [f"{one.statement}: {one.detail}" for one in wrong if _matters(one)] == []


async def test_a_draft_may_be_anything_that_a_content_is(database: Database, owner: Actor) -> None:
    long = "word " * 100_000
    async with database.write() as session:
        await commands.create(session, owner, Draft("long", from_text(long)))
    assert await found(database, owner, "word") == ["long"]
