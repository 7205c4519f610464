"""Many prompts at once, whole histories each, in bulk statements: what an import stores.

The number of statements depends on the number of batches and not on what is in them; memory holds three batches. What a
record means for a prompt that exists is decided in :mod:`autoforge.prompts.bulk_rows`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from msgspec import json
from sqlalchemy import ARRAY, Text, Uuid, bindparam, column, func, select, text, true
from sqlalchemy.exc import IntegrityError

from autoforge.access import Actor, audit
from autoforge.db import ReadSession, WriteSession, clock, named, search
from autoforge.db import models as m
from autoforge.db.bulk import insert_many, update_many
from autoforge.errors import Conflict
from autoforge.prompts.bulk_rows import Changes, Ready, Stored, plan
from autoforge.prompts.formats.records import PromptRecord, RowError

BATCH = 1000
BATCH_CHARACTERS = 8_000_000
MAX_ERRORS = 1_000
"""Row errors that a report keeps; further ones are only counted."""


@dataclass(slots=True)
class Imported:
    """What an import did, or would do: prompts by outcome, and the first errors of rows that are no prompts."""

    created: int = 0
    extended: int = 0
    unchanged: int = 0
    failed: int = 0
    errors: list[RowError] = field(default_factory=list)
    stored: bool = False

    @property
    def read(self) -> int:
        """All rows so far."""
        return self.created + self.extended + self.unchanged + self.failed

    def count(self, changes: Changes) -> None:
        self.created += len(changes.prompts)
        self.extended += len(changes.extended)
        self.unchanged += changes.unchanged

    def refuse(self, error: RowError) -> None:
        self.failed += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(error)


_NAMES = text("SELECT value FROM json_each(:keys)").columns(column("key"))
_IDS = text(
    "WITH RECURSIVE at (place) AS (SELECT 1 UNION ALL SELECT place + 16 FROM at WHERE place + 16 < length(:keys))"
    " SELECT substr(:keys, place, 16) FROM at"
).columns(column("key"))


def _packed_names(dialect: str, names: Sequence[str]) -> Any:
    """Many names as one parameter: an array, which SQLite reads as JSON."""
    return json.encode(names).decode() if dialect == "sqlite" else names


def _packed_ids(dialect: str, ids: Sequence[UUID]) -> Any:
    """Many ids as one parameter: an array, for SQLite their bytes end to end."""
    return b"".join([key.bytes for key in ids]) if dialect == "sqlite" else ids


@cache
def _lookup(dialect: str, name: str) -> Any:
    """The statement that reads the rows of a batch of ``keys``, each through an index.

    They are one parameter: a long IN would be written and prepared anew for every batch. PostgreSQL gets an array and a
    lateral join, or it would plan a scan of the whole table when statistics are poor.
    """
    statement, key, kind = _LOOKUPS[name]
    if dialect == "sqlite":
        return named(name, statement.where(key.in_(_NAMES if isinstance(kind, Text) else _IDS)))
    wanted = func.unnest(bindparam("keys", type_=ARRAY(kind))).table_valued("key").render_derived("wanted")
    found = statement.where(key == wanted.c.key).offset(0).lateral("found")  # OFFSET keeps the planner out of it
    return named(name, select(*found.c).select_from(wanted.join(found, true())))


_LOOKUPS: dict[str, tuple[Any, Any, Any]] = {
    "import.prompts": (
        select(
            m.Prompt.id,
            m.Prompt.name,
            m.Prompt.title,
            m.Prompt.description,
            m.Prompt.latest_number,
            m.Prompt.row_version,
        )
        .where(m.Prompt.workspace_id == bindparam("workspace_id"), m.Prompt.deleted_at.is_(None))
        .with_for_update(),
        m.Prompt.name,
        Text(),
    ),
    "import.versions": (
        select(m.PromptVersion.prompt_id, m.PromptVersion.content_hash, m.PromptVersion.id),
        m.PromptVersion.prompt_id,
        Uuid(),
    ),
    "import.heads": (
        select(
            m.PromptHead.prompt_id,
            m.PromptHead.kind,
            m.PromptHead.name,
            m.PromptHead.version_id,
            m.PromptHead.row_version,
        ),
        m.PromptHead.prompt_id,
        Uuid(),
    ),
}


_ROWS = named("import.rows_known", text("SELECT reltuples FROM pg_class WHERE oid = CAST('prompts' AS regclass)"))


# PostgreSQL sorts a large import into its search index at the end (see :func:`settle`) instead of every 4 MB.
_LATER = named("import.index_later", text("SET LOCAL gin_pending_list_limit = '64MB'"))
_NOW = named("import.index_now", text("SELECT gin_clean_pending_list('ix_prompt_search_document')"))


async def settle(session: WriteSession) -> None:
    """After the commit of a large import, in a transaction of its own: what waits goes into the search index.

    It is found before as well, only more slowly.
    """
    if session.dialect == "postgresql":
        await session.execute(_NOW)


async def import_records(
    session: WriteSession,
    actor: Actor,
    found: Iterable[PromptRecord | RowError],
    progress: Callable[[Imported], object] = lambda _: None,
) -> Imported:
    """Stores all records; rows that are none are counted as failed. Conflict when a name is taken meanwhile.

    ``found`` is read in a thread, batch by batch; after each, ``progress`` is called with the report so far.
    """
    report, changes = Imported(), Changes()
    if session.dialect == "postgresql":
        await session.execute(_LATER)
    async with _Reading(_batches(iter(found))) as reading:
        while batch := await reading.batch():
            for row in batch:
                if isinstance(row, RowError):
                    report.refuse(row)
            records = [row for row in batch if isinstance(row, Ready)]
            changes = await _store(session, actor, records, changes.documents, reading)
            if session.dialect == "postgresql" and changes.prompts and not report.created:
                await _count(session)
            report.count(changes)
            progress(report)
    await _index(session, changes.documents)
    session.touch(f"prompts:{actor.workspace_id.hex}", f"served:{actor.workspace_id.hex}")
    if report.created or report.extended:
        told = {"created": report.created, "extended": report.extended}
        audit.record(session, actor, "prompts_imported", "workspace", actor.workspace_id, told)
    return report


class _Reading:
    """The batches of a file, read in a thread while the block of its ``async with`` runs."""

    def __init__(self, batches: Iterator[list[Ready | RowError]]) -> None:
        self._batches = batches

    def begin(self) -> None:
        """Read the next batch, after the one before was taken."""
        self._next = asyncio.ensure_future(asyncio.to_thread(next, self._batches, None))

    async def batch(self) -> list[Ready | RowError] | None:
        """What was begun, once it is there; None at the end."""
        return await asyncio.shield(self._next)

    async def __aenter__(self) -> _Reading:
        self.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nobody may close a file that a thread still reads."""
        await asyncio.wait((self._next,))
        self._next.exception()  # an earlier error is the one that counts


def _batches(found: Iterator[PromptRecord | RowError]) -> Iterator[list[Ready | RowError]]:
    """Bounded in rows and in characters; the names within one are different."""
    batch: list[Ready | RowError] = []
    names: set[str] = set()
    size = 0
    for one in found:
        row = one if isinstance(one, RowError) else Ready.of(one)
        name = row.record.name if isinstance(row, Ready) else None
        if len(batch) >= BATCH or size > BATCH_CHARACTERS or name in names:
            yield batch
            batch, names, size = [], set(), 0
        batch.append(row)
        if isinstance(row, Ready):
            names.add(row.record.name)
            size += row.size
    if batch:
        yield batch


async def _store(
    session: WriteSession, actor: Actor, records: list[Ready], documents: list[tuple[UUID, str]], reading: _Reading
) -> Changes:
    """Stores all of ``records`` but their documents, and those of the batch before while threads plan and read on.

    Indexing is the one long statement that leaves the interpreter to them; beside any other they would hold it up.
    """
    known = await _known(session, actor, [ready.record.name for ready in records])
    planning = asyncio.ensure_future(asyncio.to_thread(plan, actor, records, known, clock.now()))
    reading.begin()
    try:
        await _index(session, documents)
    finally:  # an error of indexing is the one that counts
        await asyncio.wait((planning,))
    changes = planning.result()
    try:
        await _write(session, changes)
    except IntegrityError as error:
        raise Conflict("Somebody made a prompt of the same name while the import ran. Run it again.") from error
    return changes


async def _count(session: WriteSession) -> None:
    """Statistics for PostgreSQL's planner when it has none yet: without them each lookup would read everything."""
    if (await session.scalar(_ROWS) or 0) < BATCH:
        await session.execute(text("ANALYZE prompts, prompt_versions, prompt_heads"))


async def _known(session: ReadSession, actor: Actor, names: list[str]) -> dict[str, Stored]:
    """The living prompts of these names, locked in one order, so that two imports cannot wait for each other."""
    if not names:
        return {}
    place = {"workspace_id": actor.workspace_id, "keys": _packed_names(session.dialect, sorted(names))}
    rows = await session.all(_lookup(session.dialect, "import.prompts"), place)
    found = {row.id: Stored(*row) for row in rows}
    if found:
        keys = {"keys": _packed_ids(session.dialect, list(found))}
        for prompt_id, digest, version_id in await session.all(_lookup(session.dialect, "import.versions"), keys):
            found[prompt_id].versions[digest] = version_id
        for prompt_id, *head, version_id, row_version in await session.all(
            _lookup(session.dialect, "import.heads"), keys
        ):
            found[prompt_id].heads[head[0], head[1]] = version_id, row_version
    return {stored.name: stored for stored in found.values()}


async def _write(session: WriteSession, changes: Changes) -> None:
    await insert_many(session, m.Prompt, changes.prompts)
    await insert_many(session, m.PromptVersion, changes.versions)
    await insert_many(session, m.PromptLineage, changes.lineage)
    await insert_many(session, m.PromptHead, changes.heads)
    await update_many(session, m.PromptHead, changes.moved, key=("prompt_id", "kind", "name"))
    await insert_many(session, m.PromptHeadMove, changes.moves)
    await update_many(session, m.Prompt, changes.extended)


async def _index(session: WriteSession, documents: list[tuple[UUID, str]]) -> None:
    await search.put_many(session, "prompt_search", "prompts", documents)
