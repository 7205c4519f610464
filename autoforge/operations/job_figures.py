"""What background work goes on just now, on all hosts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, literal_column, select

from autoforge.db import ReadSession, named
from autoforge.db import models as m

MOST = 10_000
"""So many that wait are counted; more are as many."""
_SHOWN = 20

_RUNNING = named(
    "operations.running_jobs",
    select(m.Job.id, m.Job.title, m.Job.task, m.Job.done, m.Job.total, m.Job.started_at, m.Workspace.slug)
    .join(m.Workspace, m.Workspace.id == m.Job.workspace_id, isouter=True)
    .where(m.Job.status == literal_column("'running'"))
    .order_by(m.Job.lease_until, m.Job.id)
    .limit(_SHOWN),
    bounded=True,
)
_PENDING = select(literal_column("1")).where(m.Job.status == literal_column("'pending'")).limit(MOST).subquery()
_WAITING = named("operations.waiting_jobs", select(func.count()).select_from(_PENDING))


async def work(session: ReadSession) -> dict[str, Any]:
    """``running``: rows, at most twenty; ``waiting``: how many, those whose time has not come included."""
    running = await session.all(_RUNNING)
    return {"running": [dict(row._mapping) for row in running], "waiting": int(await session.scalar(_WAITING) or 0)}
