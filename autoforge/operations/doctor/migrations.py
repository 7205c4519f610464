"""Is the schema what this version of the product expects?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from sqlalchemy import inspect, text

from autoforge.db import ReadSession, revision
from autoforge.operations.doctor import remedies
from autoforge.operations.doctor.finding import Finding, Severity, examples
from autoforge.operations.doctor.patient import Patient

_UPGRADE = "db upgrade"
_AT = text("SELECT version_num FROM alembic_version")
# Indexes have checks of their own (indexes.py), which know what a missing one costs.
_ELSEWHERE = {"add_index", "remove_index"}


async def current(session: ReadSession) -> str | None:
    """The revision that the database is at; None when it was never migrated."""
    tables = await session.call(lambda: inspect(session.connection).get_table_names())
    found: str | None = await session.scalar(_AT) if "alembic_version" in tables else None
    return found


async def revisions(patient: Patient) -> AsyncIterator[Finding]:
    async with patient.read() as session:
        at = await current(session)
    newest = revision.newest()
    if at == newest:
        return
    if at is None:
        yield Finding(
            "migration-none",
            Severity.CRITICAL,
            "The database was never migrated",
            ("There is no table alembic_version, or it is empty.",),
            "Apply the migrations; a server does it when it starts.",
            remedies.command(patient, _UPGRADE),
        )
    elif at in revision.known():
        yield Finding(
            "migration-behind",
            Severity.HIGH,
            f"The database is at revision {at}, this version needs {newest}",
            (f"Not applied: {', '.join(one for one in sorted(revision.known()) if one > at)}.",),
            "Apply the missing migrations; a server does it when it starts.",
            remedies.command(patient, _UPGRADE),
        )
    else:
        ahead = at.isdigit() and at > newest
        yield Finding(
            "migration-ahead" if ahead else "migration-unknown",
            Severity.CRITICAL,
            f"The database is at revision {at}, which this version does not know (its newest is {newest})",
            ("A newer version of the product migrated it." if ahead else "No version of the product has this number.",),
            "Run the version that migrated this database, or restore a backup from before."
            if ahead
            else "Find out who changed alembic_version, and put the revision back that the tables are at.",
            "SELECT version_num FROM alembic_version;",
        )


async def drift(patient: Patient) -> AsyncIterator[Finding]:
    """Compares models and schema; only where the revision is right, for else everything differs."""
    from autoforge.db import migrate

    async with patient.read() as session:
        if await current(session) != revision.newest():
            return
        differences = await session.call(migrate.compare, session.connection)
    told = [line for difference in differences for line in _lines(difference)]
    if told:
        yield Finding(
            "schema-drift",
            Severity.HIGH,
            "The tables are not as the models describe them",
            examples(told, len(told)),
            "Somebody changed the schema by hand. Undo that change, or restore a backup; the command shows them all.",
            remedies.command(patient, "db check"),
        )


def _lines(difference: Any) -> Iterable[str]:
    """Alembic's difference, in words. Column changes come as lists of tuples."""
    for one in difference if isinstance(difference, list) else [difference]:
        kind = str(one[0])
        if kind in _ELSEWHERE:
            continue
        about = next((part for part in one[1:] if hasattr(part, "name")), None)
        names = [str(part) for part in one[1:] if isinstance(part, str)]
        if kind.startswith("modify_"):  # (kind, schema, table, column, options, old, new)
            yield f"{kind.replace('_', ' ')} of {one[2]}.{one[3]}: {one[5]!r} should be {one[6]!r}"
        else:
            verb = "missing" if kind.startswith("add_") else "not in the models"
            what = kind.partition("_")[2]
            yield f"{what} {'.'.join([*names, str(getattr(about, 'name', about))])}: {verb}"


CHECKS = (revisions, drift)
