"""What happens later to people: bulk imports, and the clean-up of those who do not come any more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import Any
from uuid import UUID

import msgspec

from autoforge.access import Actor, audit
from autoforge.db import WriteSession, bulk
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.queue import Context, enqueue, task
from autoforge.reading import Source
from autoforge.reading.tables import read_table
from autoforge.users import cleanup, import_files, import_queries
from autoforge.users.import_mapping import ColumnMap, read_mapping
from autoforge.users.import_queries import TASK, Asked
from autoforge.users.import_rows import LARGEST, RowReader, Survey
from autoforge.users.importing import Options, Result, Tally, options_of, roles_for, run

_HOURS = 3600.0


async def start_import(
    session: WriteSession, actor: Actor, file: str, found: Survey, mapping: ColumnMap, options: Options
) -> UUID:
    """Enqueues the import of an upload that was surveyed; the job's id."""
    actor.needs("users:admin")
    name = found.table.source.name
    payload: dict[str, Any] = {
        "file": file,
        "name": name,
        "columns": found.table.columns,
        "mapping": mapping.assignments,
    }
    payload |= {"mapping": mapping.assignments, "rows": found.rows, **asdict(options)}
    title = f"{'Try out' if options.dry_run else 'Import'} {name}"
    job_id = await enqueue(session, actor, import_users, payload, title=title)
    detail = {"file": name, "rows": found.rows, "sha256": file, **asdict(options)}
    audit.record(session, actor, "users_import_started", "import", job_id, detail)
    return job_id


@task(TASK, title="Import people", timeout=6 * _HOURS, attempts=5, permission="users:admin")
async def import_users(context: Context) -> None:
    """Stores the rows of an uploaded file, and goes on where the attempt before was cut off."""
    asked = msgspec.convert(context.payload, Asked)
    async with context.database.read() as session:
        actor = await import_queries.importer(session, context.user_id, context.workspace_id)
    path = import_files.path_of(context.services.settings, actor.workspace_id, asked.file)
    table = await asyncio.to_thread(read_table, Source.at(path, asked.name), limit=LARGEST)
    tally = Tally(**context.state or {})

    async def together(session: WriteSession, results: Sequence[Result], after: Tally) -> None:
        await bulk.insert_many(session, m.ImportFault, _fault_rows(context.job_id, results))
        context.progress(after.rows, asked.rows)
        await context.checkpoint(session, asdict(after))

    options = options_of(asked.on_existing, asked.dry_run)
    with RowReader(table, read_mapping(asked.mapping, table.columns), roles_for(actor)) as reader:
        label = str(context.job_id)
        async with aclosing(
            run(context.database, actor, reader, options, tally, label=label, together=together)
        ) as batches:
            async for _, after in batches:
                tally = after
                context.check()
    async with context.database.write() as session:
        context.progress(tally.rows, asked.rows)
        await context.complete_with(session, asdict(tally))


def _fault_rows(job_id: UUID, results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    """A row per fault; the cells are stored with the first of each line."""
    for result in results:
        cells = msgspec.json.encode(list(result.checked.cells)).decode() if result.faults else ""
        for fault in result.faults:
            place = {"id": new_id(), "job_id": job_id, "line": result.checked.line, "column": fault.column}
            yield place | {"message": fault.message, "row": cells}
            cells = ""


@task("users.forget_uploads", title="Remove uploads of imports that are over", schedule="23 * * * *")
async def forget_uploads(context: Context) -> dict[str, int]:
    async with context.database.read() as session:
        needed = await import_queries.needed_files(session)
    return {"files": await asyncio.to_thread(import_files.forget_old, context.services.settings, needed)}


# --- clean-up ---------------------------------------------------------------------------------------------------------


async def start_cleanup(session: WriteSession, actor: Actor, days: int) -> UUID:
    """Enqueues a clean-up of all who did not come for ``days``; the job's id."""
    actor.needs("server:admin")
    job_id = await enqueue(session, actor, clean_up, {"days": days}, key=f"by {new_id()}")
    audit.record(session, actor, "users_cleanup_started", "cleanup", job_id, {"days": days})
    return job_id


async def start_undo(session: WriteSession, actor: Actor, cleanup_id: UUID) -> UUID:
    """Enqueues the restoration of all whom a clean-up removed; the job's id."""
    actor.needs("server:admin")
    await cleanup.to_undo(session, cleanup_id)
    job_id = await enqueue(session, actor, undo_clean_up, {"cleanup": str(cleanup_id)}, key=f"by {new_id()}")
    audit.record(session, actor, "users_cleanup_undone", "cleanup", cleanup_id)
    return job_id


@task(
    cleanup.TASK,
    title="Remove people who did not come for long",
    schedule="40 3 * * *",
    timeout=_HOURS,
    permission="server:admin",
)
async def clean_up(context: Context) -> None:
    """Every night; or when somebody asked for it, with their number of days."""
    by, label = await _person(context), str(context.job_id)
    days = context.payload.get("days", context.services.settings.inactive_days)
    async with context.database.write() as session:
        if not days:
            await context.complete_with(session, {"removed": 0})
            return
        position = await _position(context, session, days)
    while not position.over:
        context.check()
        position = await context.database.transact(_remove_some, context, by, label, position)
    async with context.database.write() as session:
        context.progress(position.removed, position.removed)
        await context.complete_with(session, {"removed": position.removed})


async def _position(context: Context, session: WriteSession, days: int) -> cleanup.Position:
    if context.state is not None:
        return msgspec.convert(context.state, cleanup.Position)
    begun = await cleanup.begin(session, context.user_id, cleanup.since_of(days, days))
    await context.checkpoint(session, begun)
    return begun


async def _remove_some(
    session: WriteSession, context: Context, by: audit.Person | None, label: str, position: cleanup.Position
) -> cleanup.Position:
    moved = await cleanup.remove(session, by, label, position)
    context.progress(moved.removed)
    await context.checkpoint(session, moved)
    return moved


@task(cleanup.UNDO, title="Restore the people whom a clean-up removed", timeout=_HOURS, permission="server:admin")
async def undo_clean_up(context: Context) -> None:
    by, label = await _person(context), str(context.payload["cleanup"])
    state: dict[str, Any] = context.state or {"restored": 0, "left_out": 0, "after": None, "over": False}
    async with context.database.read() as session:
        position = await cleanup.to_undo(session, UUID(label))

    async def some(session: WriteSession) -> dict[str, Any]:
        restored, left_out, after = await cleanup.restore(session, by, label, position.moment, state["after"])
        moved = {"restored": state["restored"] + restored, "left_out": state["left_out"] + left_out}
        moved |= {"after": after, "over": after is None}
        context.progress(moved["restored"])
        await context.checkpoint(session, moved)
        return moved

    while not state["over"]:
        context.check()
        state = await context.database.transact(some)
    async with context.database.write() as session:
        await context.complete_with(session, {"restored": state["restored"], "left_out": state["left_out"]})


async def _person(context: Context) -> audit.Person | None:
    """Who asked for the job; None when it came by itself."""
    if context.user_id is None:
        return None
    async with context.database.read() as session:
        name = await import_queries.name_of(session, context.user_id)
    return audit.Person(context.user_id, name, context.workspace_id)
