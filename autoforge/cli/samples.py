"""``autoforge samples``: the sample data, in and out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from autoforge.cli.running import data_options, on_data

if TYPE_CHECKING:
    from autoforge.operations.opening import Opened


@click.group()
def samples() -> None:
    """Add or remove the sample data."""


@samples.command()
@data_options
def add(data: Path | None, database_url: str | None) -> None:
    """Add sample prompts, suites and runs; what is there already stays as it is."""
    from autoforge.operations.samples import add_samples

    async def work(opened: Opened) -> int:
        return await add_samples(opened.database, opened.owner)

    count = on_data(data, database_url, work)
    click.echo(f"Added {count} sample prompts.")


@samples.command()
@data_options
def remove(data: Path | None, database_url: str | None) -> None:
    """Remove the sample data; samples that somebody changed stay."""
    from autoforge.operations.samples import remove_samples

    async def work(opened: Opened) -> int:
        return await remove_samples(opened.database, opened.owner)

    click.echo(f"Removed {on_data(data, database_url, work)} samples.")
