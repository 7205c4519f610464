"""What has to happen while jobs run: progress is written, leases are renewed, cancellations are noticed.

One round about twice a second does all of it, with one statement for each: none per row of progress, and none per job.
Every process also looks for jobs whose worker is gone, and stands for the leadership of the schedules.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from autoforge.queue import claims
from autoforge.queue.context import Claimed, Key
from autoforge.queue.schedules import Schedules
from autoforge.telemetry.lasting import Outage

if TYPE_CHECKING:
    from autoforge.queue.pool import Pool

log = logging.getLogger(__name__)


class Tender:
    """Belongs to one pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._database = pool.services.database
        self._settings = pool.settings
        self._schedules = Schedules(pool.registry, pool.name, pool.settings.lease_seconds)
        self._hurry = asyncio.Event()
        self._cancelled: set[Key] = set()
        self._renewed = time.monotonic()
        self._recovered = float("-inf")

    def hurry(self) -> None:
        """Do the next round now."""
        self._hurry.set()

    def is_cancelled(self, job: Claimed) -> bool:
        """Whether somebody cancelled a job that was claimed but has not begun."""
        return job.key in self._cancelled

    async def run(self) -> None:
        outage = Outage(log, "jobs cannot be tended now", "jobs are tended again")
        while True:
            try:
                await self._round()
                outage.over()
            except Exception as error:
                outage.failed(error)
            self._hurry.clear()
            try:
                async with asyncio.timeout(self._settings.tend_seconds):
                    await self._hurry.wait()
            except TimeoutError:
                continue

    async def _round(self) -> None:
        if self._pool.owned():
            await self._notice_cancelled()
            await self._write_progress()
            if time.monotonic() - self._renewed > self._settings.lease_seconds / 3:
                await self._renew()
        else:
            self._renewed = time.monotonic()
        if self._pool.stopping:
            return
        if time.monotonic() - self._recovered > self._settings.lease_seconds / 2:
            await self._recover()
        await self._schedules.round(self._database)

    async def _notice_cancelled(self) -> None:
        async with self._database.read() as session:
            self._cancelled = await claims.cancelling(session, self._pool.name)
        for key in self._cancelled:
            attempt = self._pool.running.get(key)
            if attempt is not None and not attempt.context.cancelled():
                attempt.context.stop("cancelled")
                asyncio.get_running_loop().call_later(self._settings.cancel_seconds, attempt.interrupt)

    async def _write_progress(self) -> None:
        news = [one.context for one in self._pool.running.values() if one.context.progressed]
        if not news:
            return
        for context in news:
            context.progressed = False
        try:
            await self._database.transact(claims.note_progress, news)
        except BaseException:
            for context in news:
                context.progressed = True
            raise

    async def _renew(self) -> None:
        held, owned = self._pool.held, self._pool.owned()
        lease = self._settings.lease_seconds
        kept = await self._database.transact(claims.renew, self._pool.name, owned, lease)
        self._renewed = time.monotonic()
        # What ended meanwhile, or was completed with what it wrote, is nobody's loss.
        lost = (held - kept) & self._pool.held
        self._pool.drop(lost)
        for key in lost:
            attempt = self._pool.running.get(key)
            if attempt is not None and not attempt.context.completed:
                log.warning("job %s was taken over by another worker", attempt.context.job_id)
                attempt.context.stop("lost")
                attempt.interrupt()

    async def _recover(self) -> None:
        self._recovered = time.monotonic()
        async with self._database.read() as session:
            expired, gone = await claims.any_expired(session), await claims.abandoned(session)
        if expired:
            await self._database.transact(claims.recover)
        if gone:
            await self._database.transact(claims.recover_of, gone)
        if expired or gone:
            self._pool.look()
