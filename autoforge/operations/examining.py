"""Reviews of the installation on demand: a job runs the doctor beside the service, and the latest report is kept."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, select

from autoforge.access import Actor, audit
from autoforge.db import ReadSession, WriteSession, named
from autoforge.db import models as m
from autoforge.errors import AutoforgeError, Conflict
from autoforge.queue import Context, enqueue, task

TASK = "operations.examine"
_LATEST = named(
    "operations.examinations",
    select(m.Job.id, m.Job.status, m.Job.result, m.Job.error, m.Job.created_at, m.Job.ended_at)
    .where(m.Job.workspace_id.is_(None), m.Job.task == bindparam("task"))
    .order_by(m.Job.created_at.desc(), m.Job.id.desc())
    .limit(5),
)
_LIVE = ("pending", "running")


@task(TASK, title="Review the installation", attempts=1, timeout=900)
async def examine(context: Context) -> Any:
    """The report, as ``autoforge doctor --json`` prints it."""
    environment = {**os.environ, **context.services.settings.as_environment()}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "autoforge.operations.doctor",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        report, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise AutoforgeError(f"The review failed: {complaint.decode(errors='replace')[-2_000:]}")
    return msgspec.json.decode(report)


async def start(session: WriteSession, actor: Actor) -> UUID:
    """A job of the system. Conflict while one waits or runs already."""
    if (latest := await _latest(session)) and latest[0].status in _LIVE:
        raise Conflict("A review is going on already.")
    audit.record(session, actor, "installation_reviewed", "server")
    return await enqueue(session, None, examine)


async def state(session: ReadSession) -> dict[str, Any]:
    """``report`` and ``at`` of the latest review that ended well (None: there is none), ``live``, and its ``error``."""
    rows = await _latest(session)
    ended = next((row for row in rows if row.status == "completed"), None)
    return {
        "live": bool(rows) and rows[0].status in _LIVE,
        "error": rows[0].error if rows and rows[0].status == "dead" else None,
        "at": None if ended is None else ended.ended_at,
        "report": None if ended is None else msgspec.json.decode(ended.result),
    }


async def _latest(session: ReadSession) -> Any:
    return await session.all(_LATEST, {"task": TASK})
