"""What the overview shows of a workspace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, cast, extract, func, select, type_coerce
from sqlalchemy import column as plain_column
from sqlalchemy import table as plain_table

from autoforge.db import ReadSession, named
from autoforge.db import models as m

DAYS = 14

_workspace: Any = bindparam("workspace_id", type_=m.Prompt.workspace_id.type)


def _of(table: Any, *columns: Any) -> Select[Any]:
    return select(*columns).where(table.workspace_id == _workspace, table.deleted_at.is_(None))


def _latest_scores() -> Any:
    recent = _of(m.Evaluation, m.Evaluation.score).order_by(m.Evaluation.created_at.desc(), m.Evaluation.id.desc())
    return select(func.avg(recent.limit(50).subquery().c.score)).scalar_subquery()


_TOTALS = named(
    "overview.totals",
    select(
        _of(m.Prompt, func.count()).scalar_subquery().label("prompts"),
        _of(m.Prompt, func.coalesce(func.sum(m.Prompt.latest_number), 0)).scalar_subquery().label("versions"),
        _of(m.Suite, func.count()).scalar_subquery().label("suites"),
        _of(m.Suite, func.coalesce(func.sum(m.Suite.case_count), 0)).scalar_subquery().label("cases"),
        _of(m.Evaluation, func.count()).scalar_subquery().label("evaluations"),
        _of(m.Evaluation, func.coalesce(func.sum(m.Evaluation.cases), 0)).scalar_subquery().label("results"),
        _latest_scores().label("average_score"),
    ),
)
_SAMPLES = named(
    "overview.samples",
    select(
        *(
            _of(table, func.count()).where(table.is_sample).scalar_subquery().label(name)
            for name, table in (("prompts", m.Prompt), ("suites", m.Suite), ("evaluations", m.Evaluation))
        )
    ),
)

_AT: Any = select(plain_column("version_num")).select_from(plain_table("alembic_version"))
_REVISION = named("operations.revision", _AT, bounded=True)


async def revision(session: ReadSession) -> str:
    """The migration that the database is at; "" when there was none yet."""
    return str(await session.scalar(_REVISION) or "")


async def totals(session: ReadSession, workspace_id: UUID) -> dict[str, Any]:
    """Counts of what is not deleted; ``average_score`` (0..1 or None) over the 50 latest evaluations."""
    row = await session.first(_TOTALS, {"workspace_id": workspace_id})
    return dict(row._mapping) if row is not None else {}


async def samples(session: ReadSession, workspace_id: UUID) -> dict[str, Any]:
    """How much sample data is left; ``present`` is False when there is none."""
    row = await session.first(_SAMPLES, {"workspace_id": workspace_id})
    counts = dict(row._mapping) if row is not None else {}
    return {**counts, "present": any(counts.values())}


def _day(dialect: str) -> ColumnElement[Any]:
    """The days since 1970, in UTC, of an evaluation."""
    if dialect == "sqlite":
        return type_coerce(m.Evaluation.created_at, BigInteger) // 86_400_000_000  # `/` would be of floats, here too
    return cast(func.floor(extract("epoch", m.Evaluation.created_at) / 86_400), BigInteger)


async def activity(session: ReadSession, workspace_id: UUID, today: int) -> list[int]:
    """Results scored per day, oldest first, over the last DAYS days; ``today`` is days since 1970."""
    day = _day(session.dialect).label("day")
    since = func.sum(m.Evaluation.cases).label("results")
    counted = _of(m.Evaluation, day, since).where(m.Evaluation.created_at >= bindparam("since")).group_by(day)
    asked = {"workspace_id": workspace_id, "since": _start(today)}
    rows = await session.all(named("overview.activity", counted), asked)
    found = {int(row.day): int(row.results or 0) for row in rows}
    return [found.get(one, 0) for one in range(today - DAYS + 1, today + 1)]


def _start(today: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=today - DAYS + 1)
