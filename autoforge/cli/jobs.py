"""``autoforge jobs``: list, show, cancel and retry background jobs, also while a server runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from autoforge.cli.running import as_json_option, data_options, on_data, print_json
from autoforge.db.ids import parse_id
from autoforge.errors import BadInput
from autoforge.jobs import commands, queries
from autoforge.jobs.queries import STATUSES, Listing

if TYPE_CHECKING:
    from autoforge.operations.opening import Opened


@click.group()
def jobs() -> None:
    """List, show, cancel and retry background jobs."""


@jobs.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only these; dead: all attempts failed.")
@click.option("--system", is_flag=True, help="The jobs of no workspace: scheduled ones.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="The newest so many.")
@as_json_option
@data_options
def list_jobs(
    status: str | None, system: bool, limit: int, as_json: bool, data: Path | None, database_url: str | None
) -> None:
    """The newest jobs."""

    async def read(opened: Opened) -> list[dict[str, Any]]:
        async with opened.database.read() as session:
            rows, _ = await queries.page(session, opened.owner, Listing(status, system=system), limit, None)
        return rows

    rows = on_data(data, database_url, read)
    if as_json:
        print_json(rows)
    elif rows:
        _print_table(rows)
    else:
        click.echo("There are no jobs.")


@jobs.command()
@click.argument("job_id", metavar="ID")
@as_json_option
@data_options
def show(job_id: str, as_json: bool, data: Path | None, database_url: str | None) -> None:
    """One job with its progress, result and error. Exit code 1 when it failed for good."""
    asked = _id(job_id)

    async def read(opened: Opened) -> dict[str, Any]:
        async with opened.database.read() as session:
            return await queries.one(session, opened.owner, asked)

    job = on_data(data, database_url, read)
    if as_json:
        import msgspec

        print_json({**job, "result": None if job["result"] is None else msgspec.json.decode(job["result"])})
    else:
        for name, value in job.items():
            if value not in (None, ""):
                click.echo(f"{name:<16} {value}")
    raise SystemExit(1 if job["status"] == "dead" else 0)


@jobs.command()
@click.argument("job_id", metavar="ID")
@as_json_option
@data_options
def cancel(job_id: str, as_json: bool, data: Path | None, database_url: str | None) -> None:
    """Cancel a job: at once when it waits; when it runs, it is asked to stop."""
    asked = _id(job_id)

    async def change(opened: Opened) -> str:
        async with opened.database.write() as session:
            return await commands.cancel(session, opened.owner, asked)

    status = on_data(data, database_url, change)
    done = "The job is cancelled." if status == "cancelled" else "The job was asked to stop."
    _say(as_json, {"id": job_id, "status": status}, done)


@jobs.command()
@click.argument("job_id", metavar="ID")
@as_json_option
@data_options
def retry(job_id: str, as_json: bool, data: Path | None, database_url: str | None) -> None:
    """Let a job that failed or was cancelled wait again, with all its attempts."""
    asked = _id(job_id)

    async def change(opened: Opened) -> None:
        async with opened.database.write() as session:
            await commands.retry(session, opened.owner, asked)

    on_data(data, database_url, change)
    _say(as_json, {"id": job_id, "status": "pending"}, "The job waits again.")


def _id(text: str) -> UUID:
    found = parse_id(text)
    if found is None:
        raise BadInput.at("ID", f"{text[:50]!r} is not the id of a job; `autoforge jobs list` shows them.")
    return found


def _say(as_json: bool, facts: Mapping[str, Any], sentence: str) -> None:
    if as_json:
        print_json(facts)
    else:
        click.echo(sentence)


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("Id", "Status", "Job", "Progress", "Created (UTC)", box=None)
    for row in rows:
        progress = f"{row['done']:,} of {row['total']:,}" if row["total"] else f"{row['done']:,}" if row["done"] else ""
        created = row["created_at"].strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(str(row["id"]), row["status"], row["title"], progress, created)
    # Piped into another program, lines are not broken.
    console = Console() if Console().is_terminal else Console(width=200)
    console.print(table)
