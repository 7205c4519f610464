"""Triggers: those that guard the audit log are there and do what they should, and there are no others."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from sqlalchemy import inspect, text

from autoforge.db import ReadSession, revision
from autoforge.operations.doctor import migrations, remedies
from autoforge.operations.doctor.finding import Finding, Severity, examples, plural
from autoforge.operations.doctor.patient import Patient

_GUARDED = "audit_log"
_THERE = {
    "sqlite": text(
        "SELECT name, tbl_name AS holder, sql AS ddl, 1 AS works FROM sqlite_schema"
        " WHERE type = 'trigger' ORDER BY name"
    ),
    "postgresql": text(
        "SELECT t.tgname AS name, c.relname AS holder, pg_get_triggerdef(t.oid) AS ddl, t.tgenabled <> 'D' AS works"
        " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE NOT t.tgisinternal AND n.nspname = current_schema() ORDER BY t.tgname"
    ),
}


@dataclass(frozen=True, slots=True)
class Trigger:
    """``works`` is false for one that is switched off."""

    name: str
    holder: str
    ddl: str
    works: bool


async def _there(session: ReadSession) -> list[Trigger]:
    rows = await session.all(_THERE[session.dialect])
    return [Trigger(str(row.name), str(row.holder), str(row.ddl), bool(row.works)) for row in rows]


def _made(dialect: str) -> tuple[list[str], dict[str, str]]:
    """What migration 0002 runs: the functions (PostgreSQL), and the triggers by name."""
    migration = importlib.import_module("autoforge.db.migrations.versions.0002_people_and_jobs")
    statements: tuple[str, ...] = migration._ON_SQLITE if dialect == "sqlite" else migration._ON_POSTGRESQL
    triggers = {one.split()[2]: one for one in statements if one.startswith("CREATE TRIGGER")}
    return [one for one in statements if one not in triggers.values()], triggers


async def guards(patient: Patient) -> AsyncIterator[Finding]:
    """The triggers that refuse changes of the log."""
    async with patient.read() as session:
        if not await session.call(lambda: inspect(session.connection).has_table(_GUARDED)):
            return
        there = {one.name: one for one in await _there(session) if one.holder == _GUARDED}
    functions, made = _made(patient.database.dialect)
    wrong = {name: told for name in made if (told := _wrong(there.get(name), made[name], patient)) is not None}
    if wrong:
        yield Finding(
            "audit-unguarded",
            Severity.HIGH,
            "The audit log can be changed: its triggers are gone, changed or switched off",
            tuple(f"trigger {name}: {told}" for name, told in wrong.items()),
            "Verify the log, then put the triggers back.",
            "\n".join([remedies.command(patient, "audit verify"), *_mending(wrong, functions, made)]),
        )


def _wrong(there: Trigger | None, made: str, patient: Patient) -> str | None:
    if there is None:
        return "gone"
    if not there.works:
        return "switched off"
    return "changed" if patient.is_sqlite and there.ddl.split() != made.split() else None


def _mending(wrong: Mapping[str, str], functions: list[str], made: Mapping[str, str]) -> list[str]:
    off = [f"ALTER TABLE {_GUARDED} ENABLE TRIGGER {name};" for name, told in wrong.items() if told == "switched off"]
    changed = [f"DROP TRIGGER {name};" for name, told in wrong.items() if told == "changed"]
    anew = [f"{made[name]};" for name, told in wrong.items() if told != "switched off"]
    needed = [f"{one.replace('CREATE ', 'CREATE OR REPLACE ', 1)};" for one in functions] if anew else []
    return [*off, *changed, *needed, *anew]


async def strange(patient: Patient) -> AsyncIterator[Finding]:
    """The product has no other triggers: whatever they do, no code and no test knows of it."""
    async with patient.read() as session:
        if await migrations.current(session) != revision.newest():
            return
        known = _made(session.dialect)[1]
        found = [one for one in await _there(session) if one.holder != _GUARDED or one.name not in known]
    if found:
        drop = (
            f"DROP TRIGGER {remedies.identifier(one.name)}"
            f"{'' if patient.is_sqlite else f' ON {remedies.identifier(one.holder)}'};"
            for one in found
        )
        yield Finding(
            "trigger-unexpected",
            Severity.HIGH,
            f"{plural(len(found), 'trigger is', 'triggers are')} on the product's tables that it did not make",
            examples([f"{one.holder}: {' '.join(one.ddl.split())}" for one in found], len(found)),
            "See what they do and whose they are; then drop them, and review again what they may have changed.",
            "\n".join(drop),
        )


CHECKS = (guards, strange)
