"""Running one attempt at one job, whatever its function is and does, and saying how it came out.

The function runs in a task of its own, so that nothing it raises reaches the worker, and interrupting it does not
interrupt the worker. There are two ways to end it early: it is asked (``context.cancelled()``), and interrupted when it
does not listen. A thread cannot be interrupted; it is left behind, and the fence keeps it from changing anything of
the job.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from autoforge.errors import AutoforgeError
from autoforge.queue import outcomes
from autoforge.queue.context import Context, Stopped
from autoforge.queue.enqueueing import as_json
from autoforge.queue.outcomes import Outcome
from autoforge.queue.registry import Task
from autoforge.telemetry.profiles import PROFILES
from autoforge.telemetry.work import CURRENT, Work

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds that an interrupted function has to clean up before it is left behind."""


class Attempt:
    """One running function."""

    def __init__(self, task: Task, context: Context) -> None:
        self.task = task
        self.context = context
        self._call: asyncio.Task[Any] | None = None
        self._given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> Outcome | None:
        """None when there is nothing to write: the task completed the job itself, or does not own it any more."""
        self._call = asyncio.create_task(_call(self.task, self.context), name=f"job {self.context.job_id}")
        both: set[asyncio.Future[Any]] = {self._call, self._given_up}
        try:
            done, _ = await asyncio.wait(both, timeout=self.task.timeout, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self.context.stop("timeout")
                self.interrupt()
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self.interrupt()
            raise
        return self._outcome()

    def interrupt(self) -> None:
        """Does not ask again: an ``async`` function is cancelled, a process killed, a thread left behind."""
        if self._call is not None and not self._call.done():
            self._call.cancel()
            asyncio.get_running_loop().call_later(PATIENCE, self._give_up)

    def _give_up(self) -> None:
        if not self._call.done() and not self._given_up.done():  # type: ignore[union-attr]
            log.error("%s does not end although it was interrupted; it is left behind", self.task.name)
            self._given_up.set_result(None)

    def _outcome(self) -> Outcome | None:
        assert self._call is not None
        context, job = self.context, self.context.job
        error = _error_of(self._call)
        if context.completed or context.superseded or context.reason == "lost":
            if error is not None and context.completed:
                log.warning("%s raised %s after it had completed its job", self.task.name, outcomes.describe(error))
            return None
        if error is None:
            return self._completed(self._call.result())
        if isinstance(error, Stopped | asyncio.CancelledError):
            if context.reason == "cancelled":
                return outcomes.cancelled(job, context)
            if context.reason == "shutdown":
                return outcomes.handed_back(job, context)
            if context.reason == "timeout":
                error = TimeoutError(f"it took longer than {self.task.timeout:g} s")
        elif not isinstance(error, AutoforgeError):
            log.error("%s failed (job %s)", self.task.name, job.id, exc_info=error)
        return outcomes.failed(job, self.task, error, context)

    def _completed(self, result: Any) -> Outcome:
        try:
            return outcomes.completed(self.context, as_json(result))
        except AutoforgeError as error:
            return outcomes.failed(self.context.job, self.task, error, self.context)


def _error_of(call: asyncio.Task[Any]) -> BaseException | None:
    """What it raised; a call that is still running was left behind."""
    if not call.done() or call.cancelled():
        return asyncio.CancelledError()
    return call.exception()


async def _call(task: Task, context: Context) -> Any:
    CURRENT.set(Work(f"job {task.name}"))
    try:
        if task.process:
            from autoforge.queue.process import run_in_process

            return await run_in_process(task, context)
        if inspect.iscoroutinefunction(task.function):
            with PROFILES.job(task.name):
                return await task.function(context)
        return await _in_thread(PROFILES.around(task.name, task.function), context)
    except (KeyboardInterrupt, SystemExit) as error:
        # Asyncio would end the whole process with it.
        raise RuntimeError(f"the task raised {type(error).__name__}") from error


def _in_thread(function: Callable[[Context], Any], context: Context) -> Awaitable[Any]:
    """A thread for this call alone: there are never more than running jobs, and a stuck one blocks no other."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()
    variables = contextvars.copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if answer.done():  # interrupted meanwhile
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    def run() -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = variables.run(function, context)
        except StopIteration as raised:  # which a future refuses
            error = RuntimeError(f"the task raised StopIteration: {raised}")
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=f"job {context.job_id}", daemon=True).start()
    return answer
