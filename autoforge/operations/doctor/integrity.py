"""Do the rows keep the promises that the product makes? Each promise is one statement that returns what breaks it.

Rows are streamed, so that memory does not grow with the tables; what a check had seen when its time was over is told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, and_, exists, or_, select, text
from sqlalchemy.orm import aliased

from autoforge.access import audit
from autoforge.db import ReadSession, named
from autoforge.db import models as m
from autoforge.db.models import Base
from autoforge.evaluations.stored_cases import HASH_SCHEME as CASE_SCHEME
from autoforge.evaluations.stored_cases import content_hash as case_hash
from autoforge.operations.doctor import remedies
from autoforge.operations.doctor.finding import SHOWN, Finding, Severity, examples, plural
from autoforge.operations.doctor.patient import Patient
from autoforge.prompts.content import HASH_SCHEME, hash_of

_MOST_STEPS = 100_000  # of a walk through one prompt's ancestors
_MOST_TOLD = 1_000  # broken references of a kind, after which nobody counts any more
_SMALL_FILE = 512 * 1024 * 1024
_Child, _Parent = aliased(m.PromptVersion), aliased(m.PromptVersion)

_FOREIGN_HEADS = named(
    "doctor.foreign_heads",
    select(m.Prompt.name.label("prompt"), m.Prompt.id, m.PromptHead.kind, m.PromptHead.name, m.PromptHead.version_id)
    .select_from(m.PromptHead)
    .join(m.Prompt, m.Prompt.id == m.PromptHead.prompt_id)
    .join(m.PromptVersion, m.PromptVersion.id == m.PromptHead.version_id)
    .where(m.PromptVersion.prompt_id != m.PromptHead.prompt_id),
)
_HEADLESS = named(
    "doctor.headless",
    select(m.Prompt.name.label("prompt"), m.Prompt.id).where(
        ~exists().where(
            m.PromptHead.prompt_id == m.Prompt.id, m.PromptHead.kind == "branch", m.PromptHead.name == "main"
        )
    ),
)
_FOREIGN_PARENTS = named(
    "doctor.foreign_parents",
    select(_Child.prompt_id, _Child.number, _Parent.prompt_id.label("of"), _Parent.number.label("parent"))
    .select_from(m.PromptLineage)
    .join(_Child, _Child.id == m.PromptLineage.version_id)
    .join(_Parent, _Parent.id == m.PromptLineage.parent_id)
    .where(_Child.prompt_id != _Parent.prompt_id),
)
# Versions are numbered as they are written, so a circle has at least one edge that does not lead to a smaller number.
_UPHILL = named(
    "doctor.uphill_parents",
    select(_Child.id, _Child.prompt_id, _Child.number, _Parent.number.label("parent"), m.PromptLineage.parent_id)
    .select_from(m.PromptLineage)
    .join(_Child, _Child.id == m.PromptLineage.version_id)
    .join(_Parent, _Parent.id == m.PromptLineage.parent_id)
    .where(_Parent.number >= _Child.number, _Child.prompt_id == _Parent.prompt_id),
)
_FOREIGN_RUNS = named(
    "doctor.foreign_runs",
    select(m.Evaluation.id, m.Evaluation.name)
    .select_from(m.Evaluation)
    .outerjoin(m.PromptVersion, m.PromptVersion.id == m.Evaluation.version_id)
    .outerjoin(m.Prompt, m.Prompt.id == m.Evaluation.prompt_id)
    .where(
        or_(
            and_(m.Evaluation.version_id.is_not(None), m.PromptVersion.prompt_id != m.Evaluation.prompt_id),
            and_(m.Evaluation.prompt_id.is_not(None), m.Prompt.workspace_id != m.Evaluation.workspace_id),
        )
    ),
)
_VERSIONS = named(
    "doctor.versions",
    select(m.PromptVersion.prompt_id, m.PromptVersion.number, m.PromptVersion.content, m.PromptVersion.content_hash),
)
_CASES = named("doctor.cases", select(m.TestCase.id, m.TestCase.name, m.TestCase.content, m.TestCase.content_hash))


async def gather(
    patient: Patient, statement: Executable, say: Callable[[Any], str], broken: Callable[[Any], bool] | None = None
) -> tuple[int, list[str]]:
    """How many rows of ``statement`` are ``broken`` (default: all that it returns), and the first of them in words."""
    count = seen = 0
    shown: list[str] = []
    async with patient.read() as session:
        async for rows in session.stream(statement):
            seen += len(rows)
            for row in rows if broken is None else filter(broken, rows):
                count += 1
                if len(shown) < SHOWN:
                    shown.append(say(row))
            patient.progress = f"{seen:,} rows read, {count:,} of them broken"
    return count, shown


async def heads(patient: Patient) -> AsyncIterator[Finding]:
    count, shown = await gather(
        patient,
        _FOREIGN_HEADS,
        lambda row: f"{row.prompt} ({row.id}): {row.kind} {row.name} is at {row.version_id}",
    )
    if count:
        yield Finding(
            "head-foreign-version",
            Severity.CRITICAL,
            f"{plural(count, 'branch or label points', 'branches or labels point')} at a version of another prompt",
            examples(shown, count),
            "Whoever asks for this prompt gets another one's content. Move each head to a version of its own prompt; "
            "its history shows where it was before.",
            'PUT /api/v1/prompts/{prompt_id}/heads/{kind}/{name}  {"number": NUMBER}',
        )
    count, shown = await gather(patient, _HEADLESS, lambda row: f"{row.prompt} ({row.id})")
    if count:
        yield Finding(
            "head-missing",
            Severity.HIGH,
            f"{plural(count, 'prompt has', 'prompts have')} no branch main",
            examples(shown, count),
            "Such a prompt is on no list that shows its head. Restore the row of prompt_heads from a backup, or point "
            "main at the newest version.",
            "INSERT INTO prompt_heads (prompt_id, kind, name, version_id, updated_at, updated_by)\n"
            "SELECT p.id, 'branch', 'main', v.id, p.updated_at, p.owner_id FROM prompts p\n"
            "JOIN prompt_versions v ON v.prompt_id = p.id AND v.number = p.latest_number\n"
            "WHERE NOT EXISTS (SELECT 1 FROM prompt_heads h\n"
            "  WHERE h.prompt_id = p.id AND h.kind = 'branch' AND h.name = 'main');",
        )


async def contents(patient: Patient) -> AsyncIterator[Finding]:
    """A version never changes: its hash says whether it did."""
    count, shown = await gather(
        patient,
        _VERSIONS,
        lambda row: f"version {row.number} of the prompt {row.prompt_id}",
        lambda row: hash_of(row.content) != row.content_hash,
    )
    if count:
        yield Finding(
            "version-content-changed",
            Severity.CRITICAL,
            f"The content of {plural(count, 'version', 'versions')} is not what was written",
            examples(shown, count),
            f"The {HASH_SCHEME} hash beside the content disagrees with it: somebody changed the row by hand, or the "
            "disk did. Restore these rows from a backup.",
            remedies.command(patient, "audit verify"),
        )
    count, shown = await gather(
        patient,
        _CASES,
        lambda row: f"{row.name} ({row.id})",
        lambda row: case_hash(row.content) != row.content_hash,
    )
    if count:
        yield Finding(
            "case-content-changed",
            Severity.HIGH,
            f"{plural(count, 'test case is', 'test cases are')} not what was written",
            examples(shown, count),
            f"The {CASE_SCHEME} hash beside the case disagrees with it, so results show cases that they were not "
            "scored on. Restore these rows from a backup.",
            remedies.command(patient, "audit verify"),
        )


async def lineage(patient: Patient) -> AsyncIterator[Finding]:
    count, shown = await gather(
        patient,
        _FOREIGN_PARENTS,
        lambda row: f"version {row.number} of {row.prompt_id} has version {row.parent} of {row.of} as a parent",
    )
    if count:
        yield Finding(
            "lineage-foreign-parent",
            Severity.CRITICAL,
            f"{plural(count, 'version descends', 'versions descend')} from another prompt's version",
            examples(shown, count),
            "The history, and every merge over it, is wrong. Restore prompt_lineage from a backup.",
        )
    circles: list[str] = []
    async with patient.read() as session:
        uphill = [row async for rows in session.stream(_UPHILL) for row in rows[:_MOST_STEPS]]
        for row in uphill:
            patient.progress = f"{len(circles)} circles in {len(uphill)} suspicious edges"
            if await _reaches(session, row.parent_id, row.id):
                circles.append(f"version {row.number} of {row.prompt_id} descends from itself, through {row.parent}")
    if circles:
        yield Finding(
            "lineage-cycle",
            Severity.CRITICAL,
            f"{plural(len(circles), 'version descends', 'versions descend')} from itself",
            examples(circles, len(circles)),
            "The history has no beginning: pages that walk it show nonsense. Restore prompt_lineage from a backup, or "
            "delete the edge that was added.",
        )


async def _reaches(session: ReadSession, start: UUID, end: UUID) -> bool:
    """Whether ``end`` is an ancestor of ``start``, or ``start`` itself."""
    edges = select(m.PromptLineage.version_id, m.PromptLineage.parent_id)
    waiting, seen = [start], {start}
    while waiting and len(seen) < _MOST_STEPS:
        if end in seen:
            return True
        batch, waiting = waiting[:500], waiting[500:]
        for row in await session.all(edges.where(m.PromptLineage.version_id.in_(batch))):
            if row.parent_id not in seen:
                seen.add(row.parent_id)
                waiting.append(row.parent_id)
    return end in seen


async def runs(patient: Patient) -> AsyncIterator[Finding]:
    count, shown = await gather(patient, _FOREIGN_RUNS, lambda row: f"{row.name} ({row.id})")
    if count:
        yield Finding(
            "evaluation-foreign",
            Severity.CRITICAL,
            f"{plural(count, 'evaluation is', 'evaluations are')} of a version or prompt that is not its own",
            examples(shown, count),
            "A run counts for a prompt that it did not score, or for one of another workspace. Restore these rows.",
        )


async def audit_chain(patient: Patient) -> AsyncIterator[Finding]:
    async with patient.read() as session:
        entries, newest, broken = await audit.verify(session)
    if broken is not None:
        yield Finding(
            "audit-chain-broken",
            Severity.CRITICAL,
            f"The audit log does not hold from entry {broken.seq} on",
            (
                f"{plural(entries, 'entry holds', 'entries hold')}; then: {broken.problem}.",
                f"Last good hash: {newest.hex()}",
            ),
            "Somebody changed or cut the log. Compare it with an export or an anchor that was noted elsewhere.",
            remedies.commands(patient, "audit verify", "audit export -o audit.jsonl"),
        )


async def foreign_keys(patient: Patient) -> AsyncIterator[Finding]:
    found = [line async for line in (_of_file(patient) if patient.is_sqlite else _of_server(patient))]
    if found:
        yield Finding(
            "foreign-key-broken",
            Severity.HIGH,
            f"{plural(len(found), 'row refers', 'rows refer')} to a row that does not exist"
            f"{' (and maybe more)' if len(found) >= _MOST_TOLD else ''}",
            examples(found, len(found)),
            "A program changed the data with foreign keys switched off. Restore the missing rows, or delete those "
            "that refer to them.",
            remedies.on_file(patient, "PRAGMA foreign_key_check") if patient.is_sqlite else "",
        )


async def _of_file(patient: Patient) -> AsyncIterator[str]:
    broken = text(f'SELECT "table" AS child, rowid AS number, parent FROM pragma_foreign_key_check LIMIT {_MOST_TOLD}')
    async with patient.read() as session:
        for row in await session.all(broken):
            yield f"{row.child}, row {row.number}: nothing in {row.parent}"


async def _of_server(patient: Patient) -> AsyncIterator[str]:
    """PostgreSQL checks them itself, unless somebody switched the triggers off: a join for each key."""
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            patient.progress = f"as far as {table.name}.{key.parent.name}"
            parent = key.column.table.alias()
            missing = (
                select(key.parent)
                .select_from(table.outerjoin(parent, parent.c[key.column.name] == key.parent))
                .where(key.parent.is_not(None), parent.c[key.column.name].is_(None))
                .limit(_MOST_TOLD)
            )
            async with patient.read() as session:
                for row in await session.all(missing):
                    yield f"{table.name}.{key.parent.name}: nothing in {key.column.table.name} with {row[0]}"


async def file(patient: Patient) -> AsyncIterator[Finding]:
    """SQLite's own check: all of it for files of ordinary size, without the indexes for very large ones."""
    if not patient.is_sqlite:
        return
    check = "integrity_check" if patient.path.stat().st_size < _SMALL_FILE else "quick_check"
    if check == "quick_check":
        patient.note("integrity: file", "the file is large: its indexes were not compared with their tables")
    async with patient.read() as session:
        lines = [str(row[0]) for row in (await session.execute(text(f"PRAGMA {check}(100)"))).all()]
    if lines != ["ok"]:
        yield Finding(
            "database-corrupt",
            Severity.CRITICAL,
            "The database file is damaged",
            examples(lines, len(lines)),
            "Stop the server, keep a copy of the file with its -wal and -shm, and restore a backup. Where only "
            "indexes are named, REINDEX repairs them.",
            "\n".join(remedies.on_file(patient, one) for one in ("REINDEX", "PRAGMA integrity_check")),
        )


_LIVE = (
    select(m.Prompt.seq, m.Prompt.id, m.Prompt.name, m.Prompt.title, m.Prompt.description)
    .where(m.Prompt.deleted_at.is_(None))
    .order_by(m.Prompt.seq)
)
_INDEXED = {
    "sqlite": "EXISTS (SELECT 1 FROM prompt_search WHERE prompt_search.rowid = prompts.seq)",
    "postgresql": "EXISTS (SELECT 1 FROM prompt_search WHERE prompt_search.seq = prompts.seq)",
}


async def search_index(patient: Patient) -> AsyncIterator[Finding]:
    """Every prompt that is not deleted has its entry, and every entry a prompt."""
    condition = _INDEXED[patient.database.dialect]
    count, shown = await gather(patient, _LIVE.where(text(f"NOT {condition}")), lambda row: f"{row.name} ({row.id})")
    if count:
        yield Finding(
            "search-index-gap",
            Severity.MEDIUM,
            f"{plural(count, 'prompt is', 'prompts are')} not found by any search",
            examples(shown, count),
            "Save the prompt again (any change of its title writes its entry), or import it again.",
            'PATCH /api/v1/prompts/{prompt_id}  {"title": "..."}',
        )
    key = "rowid" if patient.is_sqlite else "seq"
    async with patient.read() as session:
        orphans = int(
            await session.scalar(
                text(
                    f"SELECT count(*) FROM prompt_search WHERE NOT EXISTS"
                    f" (SELECT 1 FROM prompts WHERE prompts.seq = prompt_search.{key})"
                )
            )
        )
    if orphans:
        yield Finding(
            "search-index-orphans",
            Severity.LOW,
            f"{plural(orphans, 'entry', 'entries')} of the search index are of prompts that do not exist",
            (),
            "They cost a little of every search. Delete them.",
            f"DELETE FROM prompt_search WHERE {key} NOT IN (SELECT seq FROM prompts);",
        )


CHECKS = (file, foreign_keys, heads, contents, lineage, runs, audit_chain, search_index)
