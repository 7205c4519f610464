"""The job process: runs jobs and nothing else, until it is asked to end; then it hands back what has not ended."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence

from autoforge.errors import BadInput
from autoforge.operations.measuring import measured
from autoforge.operations.opening import open_services
from autoforge.operations.watching import watched
from autoforge.operations.working import running_jobs
from autoforge.queue import REGISTRY
from autoforge.settings import Settings
from autoforge.telemetry import logs


async def work(
    settings: Settings, queues: Sequence[str] = (), ready: Callable[[str], object] = lambda _name: None
) -> None:
    """Works until SIGTERM or SIGINT; ``ready`` is told the worker's name. BadInput for a queue that no task is in."""
    logs.configure(settings.log_level)
    if unknown := sorted(set(queues).difference(REGISTRY.queues())):
        raise BadInput.at("--queues", f"There is no queue {unknown[0]!r}. Queues: {', '.join(REGISTRY.queues())}.")
    asked_to_end = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, asked_to_end.set)
    async with (
        open_services(settings) as services,
        measured(services),
        watched(services, "worker"),
        running_jobs(services, queues=queues or None) as pool,
    ):
        ready(pool.name)
        await asked_to_end.wait()
