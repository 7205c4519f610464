"""``autoforge worker``: a process that runs jobs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from autoforge.cli.running import data_options, settings_of


@click.command()
@click.option("--queues", default="", help="Only these queues, separated by commas (default: all).")
@click.option("--concurrency", type=click.IntRange(min=1), help="Jobs at a time, at most (default: the setting).")
@data_options
def worker(queues: str, concurrency: int | None, data: Path | None, database_url: str | None) -> None:
    """Run jobs until interrupted, beside a server or instead of its own workers.

    Running jobs get some seconds to end (AUTOFORGE_JOBS_SHUTDOWN_SECONDS), then they are handed back to others.
    """
    from autoforge.worker import work

    settings = settings_of(data, database_url, samples=False)
    if concurrency is not None:
        settings.jobs.most_workers = concurrency
        settings.jobs.least_workers = min(settings.jobs.least_workers, concurrency)
    names = [name.strip() for name in queues.split(",") if name.strip()]
    asyncio.run(work(settings, names, lambda name: click.echo(f"The worker {name} is ready.")))
