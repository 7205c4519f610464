"""``autoforge db``: the schema, and a copy of the data."""

from __future__ import annotations

from pathlib import Path

import click

from autoforge.cli.backup import backup
from autoforge.cli.running import data_options, settings_of


@click.group()
def database() -> None:
    """Upgrade, check and back up the database."""


database.add_command(backup)


@database.command()
@data_options
def upgrade(data: Path | None, database_url: str | None) -> None:
    """Apply the migrations that are missing. Safe to repeat, and while a server runs."""
    from autoforge.db import migrate

    url = settings_of(data, database_url).database_url
    migrate.upgrade(url)
    click.echo(f"The database is at revision {migrate.current_revision(url)}.")


@database.command()
@data_options
def check(data: Path | None, database_url: str | None) -> None:
    """Say whether the database is at the newest revision and as the models describe it (exit code 1 if not).

    Changes nothing, and waits for nobody who writes.
    """
    from autoforge.db import migrate

    url = settings_of(data, database_url).database_url
    current = migrate.current_revision(url)
    if current != migrate.newest_revision():
        click.echo(migrate.remedy(current))
        raise SystemExit(1)
    if differences := migrate.drift(url):
        click.echo("\n".join(f"differs: {difference}" for difference in differences))
        raise SystemExit(1)
    click.echo(f"The database is at revision {current}, and as it should be.")
