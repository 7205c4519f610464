"""What is changed about jobs by people: cancel, and try again. The queue does the rest."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from autoforge.access import Actor, audit
from autoforge.db import WriteSession
from autoforge.errors import Conflict, Forbidden
from autoforge.jobs import queries
from autoforge.queue import control


async def cancel(session: WriteSession, actor: Actor, job_id: UUID) -> str:
    """``cancelled`` when it had not begun; else ``running``: it has been asked to stop. Conflict when it has ended.

    Forbidden for who lacks the permission of its task, or, where that has none, neither made it nor manages here.
    """
    job = await _to_change(session, actor, job_id)
    status = await control.cancel(session, job_id)
    if status is None:
        raise Conflict(f"The job has ended already: it is {job['status']}.")
    audit.record(session, actor, "job_cancelled", "job", job_id)
    return status


async def retry(session: WriteSession, actor: Actor, job_id: UUID) -> None:
    """It waits again, with all its attempts. Conflict unless it is dead or was cancelled; Forbidden as for cancel."""
    job = await _to_change(session, actor, job_id)
    if not await control.retry(session, job_id):
        raise Conflict(
            f"Only a job that failed for good or was cancelled can be tried again; this one is {job['status']}."
        )
    audit.record(session, actor, "job_retried", "job", job_id)


async def _to_change(session: WriteSession, actor: Actor, job_id: UUID) -> dict[str, Any]:
    job = await queries.news(session, actor, job_id)
    if not queries.may_change(actor, job):
        if permission := queries.permission_of(job):
            actor.needs(permission)
        raise Forbidden("A job is cancelled or tried again by who started it, or by a manager of the workspace.")
    return job
