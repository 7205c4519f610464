"""``autoforge db backup``."""

from __future__ import annotations

from pathlib import Path

import click

from autoforge.cli.running import as_json_option, data_options, print_json, settings_of


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@as_json_option
@data_options
def backup(file: Path, as_json: bool, data: Path | None, database_url: str | None) -> None:
    """Copy the embedded database into a new FILE, also while a server runs.

    The copy is whole, of one moment, and readable by its owner alone. Keep the data directory's `secret` with it.
    PostgreSQL is backed up by pg_dump. docs/operations.md says how to restore either.
    """
    from autoforge.operations.backup import back_up

    made = back_up(settings_of(data, database_url), file)
    if as_json:
        told = {"file": str(made.file), "revision": made.revision, "bytes": made.bytes}
        print_json(told | {"secret": None if made.secret is None else str(made.secret)})
        return
    keep = "" if made.secret is None else f" Keep {made.secret} with it."
    click.echo(f"{made.file} holds the database at revision {made.revision}, {made.bytes:,} bytes.{keep}")
