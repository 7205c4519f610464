"""Workers of one process: they claim jobs, run them, and write how they came out.

One loop talks to the table: each turn of it finishes what has ended and claims what there is room for, in one
transaction. The longer the commit takes, the more jobs share it. Workers are tasks of the event loop; one is added
when a job waits and none is free, and one that has been idle for a while goes. Only as many jobs are claimed as can be
run; of very short ones some more, so that nobody waits for the next turn. What is not claimed stays in the table, where
other processes see it: that is the back-pressure.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import Counter, deque
from collections.abc import Container, Sequence
from contextlib import suppress
from uuid import UUID

from autoforge.db import WriteSession, clock
from autoforge.queue import claims, outcomes
from autoforge.queue.context import Claimed, Context, Key, Services
from autoforge.queue.neighbours import forget, new_name
from autoforge.queue.outcomes import Outcome
from autoforge.queue.registry import REGISTRY, Registry
from autoforge.queue.running import Attempt
from autoforge.queue.tending import Tender
from autoforge.queue.waking import What, when_woken
from autoforge.settings import JobsSettings
from autoforge.telemetry import families, metrics, traces
from autoforge.telemetry.lasting import Outage

log = logging.getLogger(__name__)

_SHORT = 0.2  # seconds in which claimed jobs have to be gone for the next claim to be larger
_LONGEST_PAUSE = 5.0  # seconds between attempts to reach a database that does not answer


class Pool:
    """Start it in the event loop of its database; :meth:`stop` hands back what has not ended in time."""

    def __init__(
        self,
        services: Services,
        *,
        registry: Registry = REGISTRY,
        queues: Sequence[str] | None = None,
        settings: JobsSettings | None = None,
    ) -> None:
        self.services = services
        self.registry = registry
        self.settings = settings or services.settings.jobs
        self.queues = list(queues or registry.queues())
        self.name = new_name()
        self.counts: Counter[str] = Counter()
        self.ready: deque[Claimed] = deque()
        self.running: dict[Key, Attempt] = {}
        self._held: set[Key] = set()
        self.stopping = False
        self._ended: list[Outcome] = []
        self._writing: Sequence[Outcome] = ()
        self._workers: set[asyncio.Task[None]] = set()
        self._idle: deque[asyncio.Future[Claimed]] = deque()
        self._news = asyncio.Event()
        self._look = True
        self._ahead = 0
        self._claimed_at = 0.0
        self._turn = 0

    # --- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begins to work; returns at once."""
        self._loop = asyncio.get_running_loop()
        self._tender = Tender(self)
        self._grow(self.settings.least_workers)
        self._loops = [asyncio.create_task(self._claim_and_settle()), asyncio.create_task(self._tender.run())]
        self._end_waking = when_woken(self._woken)

    async def stop(self) -> None:
        """Hands back what has not begun, gives what runs ``shutdown_seconds`` to end, then hands that back as well."""
        self._end_waking()
        self.stopping = True
        while self.ready:
            job = self.ready.popleft()
            self._held.discard(job.key)
            self._ended.append(outcomes.handed_back(job))
        for attempt in self.running.values():
            attempt.context.stop("shutdown")
        self._news.set()
        await self._wait_for_running(self.settings.shutdown_seconds)
        for attempt in self.running.values():
            attempt.interrupt()
        await self._wait_for_running(None)
        await self._end_loops()

    async def _wait_for_running(self, seconds: float | None) -> None:
        for future in self._idle:
            future.cancel()
        if self._workers:
            await asyncio.wait(self._workers, timeout=seconds)

    async def _end_loops(self) -> None:
        self._news.set()
        await self._loops[0]  # which ends once everything is written
        self._loops[1].cancel()
        with suppress(asyncio.CancelledError):
            await self._loops[1]
        forget(self.name)

    def _woken(self, what: What) -> None:
        """Somebody enqueued, cancelled or retried; maybe in another thread, with a loop of its own."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.look if what == "enqueued" else self._tender.hurry)

    def look(self) -> None:
        """There may be something to claim."""
        self._look = True
        self._news.set()

    def drop(self, lost: Container[Key]) -> None:
        """Forgets what waits here and belongs to others by now."""
        for job in [job for job in self.ready if job.key in lost]:
            self.ready.remove(job)
            self._held.discard(job.key)

    @property
    def held(self) -> frozenset[Key]:
        """Claimed, and not ended."""
        return frozenset(self._held)

    def owned(self) -> set[UUID]:
        """The jobs whose leases are ours to renew: claimed, and not yet written back."""
        unwritten = (one.job.id for one in itertools.chain(self._ended, self._writing))
        return {*(job_id for job_id, _ in self._held), *unwritten}

    # --- the table ------------------------------------------------------------------------------------------------

    async def _claim_and_settle(self) -> None:
        outage = Outage(log, "jobs can be neither claimed nor finished now", "jobs are claimed and finished again")
        pause = 0.05
        while not (self.stopping and not self._workers and not self._ended):
            try:
                await self._next_turn()
                pause = 0.05
                outage.over()
            except Exception as error:
                outage.failed(error)
                self._look = True
                if self.stopping and pause >= _LONGEST_PAUSE:
                    return
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)

    async def _next_turn(self) -> None:
        """Writes and claims when there is a reason to; otherwise waits for one."""
        room = self._room()
        if not self._ended and not room:
            await self._wait()
            return
        self._writing, self._ended = self._ended, []
        self._look = self._look and not room
        try:
            claimed = await self.services.database.transact(self._write, self._writing, room)
        except BaseException:
            self._ended = [*self._writing, *self._ended]
            raise
        finally:
            self._writing = ()
        for job in claimed:
            self._hand_out(job)
        if room:
            self._claimed_at = time.monotonic()
            self._look = self._look or len(claimed) == room

    async def _write(self, session: WriteSession, ended: Sequence[Outcome], room: int) -> list[Claimed]:
        if ended:
            await claims.settle(session, ended)
        if not room:
            return []
        # Each turn another queue comes first, so that a full one does not shut out the others.
        self._turn += 1
        first = self._turn % len(self.queues)
        queues = self.queues[first:] + self.queues[:first]
        return await claims.claim(session, queues, self.name, room, self.settings.lease_seconds)

    def _room(self) -> int:
        """How many jobs to claim now; 0 while there is nothing to claim, or enough is at hand."""
        if self.stopping or not self._look or not self.queues or len(self.ready) > self._ahead // 2:
            return 0
        if self._claimed_at:
            quick = not self.ready and time.monotonic() - self._claimed_at < _SHORT
            self._ahead = min(self.settings.claim_ahead, self._ahead * 2 + 4) if quick else self._ahead // 2
        return max(0, self.settings.most_workers + self._ahead - len(self._held))

    async def _wait(self) -> None:
        """Until something has ended or was enqueued; now and then a look, since other processes enqueue as well."""
        self._news.clear()
        try:
            async with asyncio.timeout(self.settings.poll_seconds):
                await self._news.wait()
        except TimeoutError:
            if not self.stopping and self.queues and not self._look:
                async with self.services.database.read() as session:
                    self._look = await claims.any_waiting(session, self.queues)

    # --- workers --------------------------------------------------------------------------------------------------

    def _hand_out(self, job: Claimed) -> None:
        if self.stopping:
            self._ended.append(outcomes.handed_back(job))
            return
        self.counts["claimed"] += 1
        self._held.add(job.key)
        while self._idle:
            waiting = self._idle.pop()
            if not waiting.done():
                waiting.set_result(job)
                return
        self.ready.append(job)
        self._grow(len(self._workers) + 1)

    def _grow(self, wanted: int) -> None:
        while len(self._workers) < min(wanted, self.settings.most_workers):
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._gone)

    def _gone(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        self._news.set()
        if not worker.cancelled() and (error := worker.exception()) is not None:
            log.error("a worker ended unexpectedly; another takes its place", exc_info=error)
            self._grow(self.settings.least_workers)

    @property
    def workers(self) -> int:
        return len(self._workers)

    async def _work(self) -> None:
        while (job := await self._next_job()) is not None:
            outcome = await self._measured(job)
            self.running.pop(job.key, None)
            self._held.discard(job.key)
            if outcome is not None:
                self.counts[outcome.status] += 1
                self._ended.append(outcome)
            self._news.set()

    async def _next_job(self) -> Claimed | None:
        """None: there was nothing to do for a while, and there are others; or the pool stops."""
        while not self.stopping:
            if self.ready:
                return self.ready.popleft()
            waiting: asyncio.Future[Claimed] = asyncio.get_running_loop().create_future()
            self._idle.append(waiting)
            await asyncio.wait({waiting}, timeout=self.settings.idle_seconds)
            if waiting.done() and not waiting.cancelled():
                return waiting.result()
            with suppress(ValueError):
                self._idle.remove(waiting)
            if len(self._workers) > self.settings.least_workers:
                return None
        return None

    async def _measured(self, job: Claimed) -> Outcome | None:
        """The attempt, counted: what is unknown here, and may be anything, is counted together."""
        task = self.registry.get(job.task)
        name, queue = (task.name, task.queue) if task is not None else ("unknown", "unknown")
        metrics.add(families.STARTED, name)
        metrics.add(families.RUNNING, queue)
        began = time.perf_counter()
        kind = "lost"
        try:
            with traces.span(f"job {name}", autoforge__job__id=str(job.id), autoforge__job__attempt=job.attempt):
                outcome = await self._run(job)
            kind = self._kind_of(job, outcome)
            return outcome
        finally:
            metrics.add(families.RUNNING, queue, amount=-1.0)
            metrics.add(families.FINISHED, name, kind)
            metrics.observe(families.JOB_SECONDS, time.perf_counter() - began, name)

    def _kind_of(self, job: Claimed, outcome: Outcome | None) -> str:
        """How it came out, as metrics say it."""
        if outcome is None:
            attempt = self.running.get(job.key)
            return "completed" if attempt is not None and attempt.context.completed else "lost"
        if outcome.status == "pending":
            return "retried" if outcome.failures else "handed_back"
        return outcome.status

    async def _run(self, job: Claimed) -> Outcome | None:
        if self._tender.is_cancelled(job):
            return outcomes.cancelled(job)
        task = self.registry.get(job.task)
        if task is None:
            return outcomes.unknown(job)
        if self.stopping:
            return outcomes.handed_back(job)
        try:
            attempt = Attempt(task, Context(job, self.services))
        except ValueError as error:  # a payload that is no JSON
            return outcomes.failed(job, task, error)
        self.running[job.key] = attempt
        outcome = await attempt.run()
        if outcome is None:
            self.counts["completed" if attempt.context.completed else "lost"] += 1
        elif outcome.again_at is not None:
            delay = (outcome.again_at - clock.now()).total_seconds()
            self._loop.call_later(max(0.0, delay) + 0.01, self.look)
        return outcome
