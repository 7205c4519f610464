"""Indexes that are missing, differ, do nothing, or are broken; and the plans that no index would mend."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Index, text

from autoforge.db import ReadSession, revision
from autoforge.db.models import Base
from autoforge.operations.doctor import advice, catalogue, migrations, remedies, schema
from autoforge.operations.doctor.accepted import ACCEPTED
from autoforge.operations.doctor.catalogue import Known
from autoforge.operations.doctor.copies import Copy, copied, plan_on
from autoforge.operations.doctor.explaining import Plan, sql_of
from autoforge.operations.doctor.finding import SHOWN, Finding, Severity, examples, plural
from autoforge.operations.doctor.patient import Patient
from autoforge.operations.doctor.schema import TableIndex

_ALIAS = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+\"?(\w+)\"?(?:\s+AS)?(?:\s+\"?(\w+)\"?)?", re.IGNORECASE)
_SHOWN_PLANS = 3
_ENOUGH = 0.9  # of the statements, to be explained
_VERY_LARGE = 100  # times the size from which a table is large
_INVALID = text(
    "SELECT c.relname AS name, t.relname AS table, pg_get_indexdef(i.indexrelid) AS ddl FROM pg_index i"
    " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT i.indisvalid AND n.nspname = current_schema()"
)
_SEARCHED = text("SELECT to_regclass('ix_prompt_search_document')::text")
_USES = text(
    "SELECT indexrelname AS name, idx_scan AS scans, pg_relation_size(indexrelid) AS bytes,"
    " now() - coalesce((SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),"
    " pg_postmaster_start_time()) AS watched FROM pg_stat_user_indexes WHERE schemaname = current_schema()"
)


@dataclass(slots=True)
class Examined:
    """A statement with its driver's SQL and its plan before anything was changed."""

    known: Known
    sql: str
    plan: Plan
    tables: dict[str, str] = field(default_factory=dict)

    def wrong(self, large: set[str], plan: Plan | None = None) -> list[str]:
        """What its plan does to large tables, in words; nothing where that is accepted."""
        if self.known.name in ACCEPTED:
            return []
        touched = set(self.tables.values()) & large
        return [
            f"{one.what}: {one.detail}"
            for one in (plan or self.plan).faults
            if (self.tables.get(one.table, one.table) in large if one.table else touched)
        ]


async def _examined(patient: Patient) -> list[Examined]:
    """Every statement that can be explained here, with its plan."""
    known = await catalogue.statements(patient.database.dialect)
    if patient.traffic is not None:
        known += patient.traffic.shapes(patient.database.dialect, {one.name for one in known})
    found = []
    for number, one in enumerate(known):
        patient.progress = f"{number} of {len(known)} statements explained"
        async with patient.read() as session:
            plan = await plan_on(session, one)
            if plan is not None:
                sql = sql_of(one, session.connection.dialect)
                found.append(Examined(one, sql, plan, _tables(sql)))
    if len(found) < len(known) * _ENOUGH:
        patient.note("indexes: plans", f"only {len(found)} of {len(known)} statements could be explained")
    return found


def _tables(sql: str) -> dict[str, str]:
    """Tables by alias, and by their own name."""
    found = {}
    for table, alias in _ALIAS.findall(sql):
        found[table] = table
        if alias:
            found.setdefault(alias, table)
    return found


def _large(patient: Patient) -> set[str]:
    return {name for name, rows in patient.rows.items() if rows >= patient.limits.large_table} & set(
        Base.metadata.tables
    )


async def _declared(session: ReadSession) -> dict[str, tuple[TableIndex, Index]]:
    """What the models declare; nothing where migrations are missing, which are a finding of their own."""
    if await migrations.current(session) != revision.newest():
        return {}
    return schema.declared(session.dialect)


# --- indexes that should be there -------------------------------------------------------------------------------------


async def missing(patient: Patient) -> AsyncIterator[Finding]:
    """First what the models declare, then what the plans of the product's statements ask for."""
    async with patient.read() as session:
        there = {one.name for one in await session.call(schema.existing, session.connection)}
        declared = await _declared(session)
        gone = [
            (told, schema.ddl(session.connection, index, concurrently=not patient.is_sqlite))
            for name, (told, index) in declared.items()
            if name not in there
        ]
    large = _large(patient)
    if not gone and not large:
        return
    statements = await _examined(patient)
    suspects = [one for one in statements if one.wrong(large)]
    concerned = {told.table for told, _ in gone} | {name for one in suspects for name in one.tables.values()}
    if not gone and not suspects:
        return
    async with copied(patient, sorted(concerned & set(Base.metadata.tables))) as copy:
        for told, ddl in gone:
            yield await _dropped(patient, copy, told, ddl, statements)
        async for finding in _advised(patient, copy, suspects, large):
            yield finding


async def _dropped(patient: Patient, copy: Copy, told: TableIndex, ddl: str, statements: Sequence[Examined]) -> Finding:
    """Puts the index back in the copy, and shows which plans that changes."""
    touching = [one for one in statements if told.table in one.tables.values()]
    before = {id(one): await copy.plan(one.known) for one in touching}
    made = await copy.create(ddl)
    changed = []
    for one in touching if made else ():
        after, was = await copy.plan(one.known), before[id(one)]
        if after is not None and was is not None and told.name in after.indexes - was.indexes:
            changed.append((one, was, after))
    changed.sort(key=lambda found: len(found[2].faults) - len(found[1].faults))
    worst: dict[str, tuple[Examined, Plan, Plan]] = {}
    for found in changed:
        worst.setdefault(found[0].known.name, found)
    evidence = [f"{told.table} has {patient.rows.get(told.table, 0):,} rows"]
    evidence += [f"{name} would use it" for name in list(worst)[:10]]
    title = f"The index {told.name} of {told.table} is gone"
    severity = Severity.HIGH
    if told.unique:
        severity, title = Severity.CRITICAL, f"{title}: nothing keeps duplicates out"
        evidence += await _duplicates(patient, told, ddl)
    return Finding(
        "index-dropped", severity, title, tuple(evidence), "Make it again.", ddl, _proof(copy, list(worst.values()))
    )


async def _duplicates(patient: Patient, told: TableIndex, ddl: str) -> list[str]:
    """Rows that would not let a unique index be made again."""
    columns, where = ", ".join(told.columns), ddl.rstrip(";").partition(" WHERE ")[2] or "1 = 1"
    counted = f"SELECT {columns}, count(*) AS times FROM {told.table} WHERE {where} GROUP BY {columns}"
    async with patient.read() as session:
        rows = await session.all(text(f"{counted} HAVING count(*) > 1 LIMIT {SHOWN}"))
    lines = [f"{row.times} rows with the same ({columns}), such as {str(row[-2])[:100]!r}" for row in rows]
    return [*lines, "These duplicates have to go before it can be made again."] if lines else []


async def _advised(
    patient: Patient, copy: Copy, suspects: Sequence[Examined], large: set[str]
) -> AsyncIterator[Finding]:
    """Tries an index for each bad plan. What makes it good is advice; where nothing does, the plan is a finding."""
    cured: dict[advice.Proposal, list[tuple[Examined, Plan, Plan]]] = {}
    incurable: list[tuple[Examined, list[str]]] = []
    for number, one in enumerate(suspects):
        patient.progress = f"{number} of {len(suspects)} bad plans treated"
        before = await copy.plan(one.known)
        if before is None or not (wrong := one.wrong(large, before)):
            continue  # an index that is back already, or advised for another statement, serves this one too
        found = await _tried(copy, one, len(wrong), large, patient.database.dialect)
        if found is None:
            incurable.append((one, wrong))
        else:
            cured.setdefault(found[0], []).append((one, before, found[1]))
    for proposal, changed in cured.items():
        yield _advice(patient, copy, proposal, changed)
    for one, wrong in {one.known.name: (one, wrong) for one, wrong in incurable}.values():
        yield _incurable(patient, one, wrong)


async def _tried(
    copy: Copy, one: Examined, wrong: int, large: set[str], dialect: str
) -> tuple[advice.Proposal, Plan] | None:
    """The first proposal that leaves less wrong with the plan; its index stays in the copy."""
    for proposal in advice.proposals(one.sql, dialect, Base.metadata):
        if proposal.table in large and await copy.create(proposal.ddl()):
            after = await copy.plan(one.known)
            if after is not None and proposal.name in after.indexes and len(one.wrong(large, after)) < wrong:
                return proposal, after
            await copy.drop(proposal.name)
    return None


def _advice(
    patient: Patient, copy: Copy, proposal: advice.Proposal, changed: list[tuple[Examined, Plan, Plan]]
) -> Finding:
    rows = patient.rows.get(proposal.table, 0)
    very_large = rows >= _VERY_LARGE * patient.limits.large_table
    names = sorted({one.known.name for one, _, _ in changed})
    return Finding(
        "index-missing",
        Severity.HIGH if very_large else Severity.MEDIUM,
        f"An index on {proposal.table} ({', '.join(proposal.columns)}) would serve {plural(len(names), 'statement')}",
        (f"{proposal.table} has {rows:,} rows.", *(f"{name}: {_one_line(_of(changed, name).sql)}" for name in names)),
        "Make the index; it costs a little of every write to the table.",
        proposal.ddl(concurrently=not patient.is_sqlite),
        _proof(copy, changed),
    )


def _of(changed: Sequence[tuple[Examined, Plan, Plan]], name: str) -> Examined:
    return next(one for one, _, _ in changed if one.known.name == name)


def _incurable(patient: Patient, one: Examined, wrong: list[str]) -> Finding:
    scans = any(line.startswith("full scan") for line in wrong)
    sizes = [f"{name}: {patient.rows[name]:,} rows" for name in sorted({*one.tables.values()} & set(patient.rows))]
    what = "reads a large table from end to end" if scans else "sorts the rows of a large table"
    return Finding(
        "plan-full-scan" if scans else "plan-temporary-sort",
        Severity.MEDIUM if scans else Severity.LOW,
        f"{one.known.name} {what}, and no simple index helps",
        (*wrong, *sizes, _one_line(one.sql)),
        "Rewrite the statement, ask it less often, or keep its answer.",
    )


def _one_line(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) < 400 else f"{line[:400]}..."


def _proof(copy: Copy, changed: Sequence[tuple[Examined, Plan, Plan]]) -> str:
    """The plans before and after, on the copy."""
    parts = [
        f"{one.known.name}, before:\n{before.text}\n{one.known.name}, after:\n{after.text}"
        for one, before, after in changed[:_SHOWN_PLANS]
    ]
    return "\n\n".join([f"({copy.kind})", *parts]) if parts else ""


# --- indexes that are there -------------------------------------------------------------------------------------------


async def different(patient: Patient) -> AsyncIterator[Finding]:
    async with patient.read() as session:
        there = await session.call(schema.existing, session.connection)
        declared = await _declared(session)
        wrong = [
            (one, *declared[one.name])
            for one in there
            if one.name in declared and not _same(one, declared[one.name][0])
        ]
        commands = [
            f"DROP INDEX {one.name};\n{schema.ddl(session.connection, index, concurrently=not patient.is_sqlite)}"
            for one, _, index in wrong
        ]
    if wrong:
        yield Finding(
            "index-differs",
            Severity.HIGH,
            f"{plural(len(wrong), 'index is', 'indexes are')} not as the models say",
            tuple(f"{one.name}: {_shape(one)}, should be {_shape(told)}" for one, told, _ in wrong),
            "Make them again.",
            "\n".join(commands),
        )


def _same(one: TableIndex, told: TableIndex) -> bool:
    return (one.columns, one.unique, one.where) == (told.columns, told.unique, told.where)


def _shape(one: TableIndex) -> str:
    where = f" where {one.where}" if one.where else ""
    return f"{'unique ' if one.unique else ''}({', '.join(one.columns)}){where}"


async def superfluous(patient: Patient) -> AsyncIterator[Finding]:
    """Duplicates and beginnings of others, then those that nothing uses; only what the models do not declare."""
    async with patient.read() as session:
        there = await session.call(schema.existing, session.connection)
        declared = schema.declared(session.dialect)
        if await migrations.current(session) != revision.newest():
            return  # an older or newer version's indexes are no mistake
    strange = [one for one in there if not one.kept and one.name not in declared]
    refusing = [one for one in strange if one.unique and not _is_held(one, there, declared)]
    for finding in (_refuses(patient, one) for one in refusing):
        yield finding
    strange = [one for one in strange if one not in refusing]
    doubled = {one.name: other for one in strange if (other := _covering(one, there)) is not None}
    for one in strange:
        if one.name in doubled:
            other = doubled[one.name]
            yield Finding(
                "index-duplicate",
                Severity.LOW,
                f"The index {one.name} of {one.table} does nothing that {other.name} does not",
                (f"{one.name}: {_shape(one)}", f"{other.name}: {_shape(other)}"),
                "Drop it: every write pays for it.",
                _drop(patient, one.name),
            )
    rest = [one for one in strange if one.name not in doubled]
    if rest:
        async for finding in _unused(patient, rest):
            yield finding


def _is_held(one: TableIndex, there: Iterable[TableIndex], declared: Collection[str]) -> bool:
    """Whether a key or a declared index lets nothing in that this unique index would refuse."""
    return any(
        other.unique
        and other.table == one.table
        and (other.kept or other.name in declared)
        and other.where in ("", one.where)
        and set(other.columns) <= set(one.columns)
        for other in there
    )


def _refuses(patient: Patient, one: TableIndex) -> Finding:
    return Finding(
        "index-unexpected",
        Severity.HIGH,
        f"The unique index {one.name} of {one.table} refuses rows that the product may write",
        (f"{one.name}: {_shape(one)}", "No model declares it; who is refused is told another reason."),
        "Drop it.",
        _drop(patient, one.name),
    )


def _covering(one: TableIndex, there: Iterable[TableIndex]) -> TableIndex | None:
    """An index that begins with the same columns, over the same rows."""
    for other in there:
        same_rows = other.table == one.table and other.where == one.where and other.name != one.name
        if same_rows and other.columns[: len(one.columns)] == one.columns and (other.unique or not one.unique):
            return other
    return None


async def _unused(patient: Patient, candidates: Sequence[TableIndex]) -> AsyncIterator[Finding]:
    used = {name for one in await _examined(patient) for name in one.plan.indexes}
    seen: dict[str, str] = {}
    if not patient.is_sqlite:
        async with patient.read() as session:
            for row in await session.all(_USES):
                if row.scans:
                    used.add(row.name)
                elif row.watched < patient.limits.index_uptime:
                    used.add(row.name)  # too early to say
                seen[row.name] = f"not used once in {row.watched}; {row.bytes // 1024:,} KB"
    for one in candidates:
        if one.name not in used:
            yield Finding(
                "index-unused",
                Severity.LOW,
                f"The index {one.name} of {one.table} is used by no statement of the product",
                (f"{one.name}: {_shape(one)}", *([seen[one.name]] if one.name in seen else [])),
                "Drop it, unless a program of yours reads by it.",
                _drop(patient, one.name),
            )


def _drop(patient: Patient, name: str) -> str:
    return f"DROP INDEX {'' if patient.is_sqlite else 'CONCURRENTLY '}{remedies.identifier(name)};"


async def invalid(patient: Patient) -> AsyncIterator[Finding]:
    if patient.is_sqlite:
        return
    async with patient.read() as session:
        rows = await session.all(_INVALID)
    if rows:
        yield Finding(
            "index-invalid",
            Severity.HIGH,
            f"{plural(len(rows), 'index', 'indexes')} cost every write and serve no read",
            examples([f"{row.name} of {row.table}: {row.ddl}" for row in rows], len(rows)),
            "Making them was interrupted. Make them again; that stops nobody.",
            "\n".join(f"REINDEX INDEX CONCURRENTLY {row.name};" for row in rows),
        )


async def search(patient: Patient) -> AsyncIterator[Finding]:
    """PostgreSQL: the index of the full-text search, which no model declares (SQLite's search is an index itself)."""
    if patient.is_sqlite:
        return
    async with patient.read() as session:
        if await session.scalar(_SEARCHED) is not None:
            return
    yield Finding(
        "index-dropped",
        Severity.HIGH,
        "The index of the full-text search is gone",
        ("Every search reads the tokens of all prompts.",),
        "Make it again.",
        "CREATE INDEX CONCURRENTLY ix_prompt_search_document ON prompt_search USING gin (document);",
    )


CHECKS = (missing, different, superfluous, invalid, search)
