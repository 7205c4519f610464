"""``autoforge users import`` and ``autoforge users cleanup``: many people at once, in this process, with progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from autoforge.cli.running import data_options, on_data

if TYPE_CHECKING:
    from autoforge.operations.opening import Opened
    from autoforge.users.import_rows import Survey
    from autoforge.users.importing import Result, Tally

_SHOWN_ERRORS = 20


@click.command("import")
@click.argument("source", metavar="FILE.csv", type=click.Path(path_type=Path))
@click.option("--map", "mapping", multiple=True, metavar="FIELD=COLUMN", help="Where a field comes from. Repeatable.")
@click.option(
    "--on-existing",
    default="skip",
    show_default=True,
    type=click.Choice(("skip", "update", "error")),
    help="What happens to who is there already.",
)
@click.option("--dry-run", is_flag=True, help="Say what would happen, store nothing.")
@click.option(
    "--errors", type=click.Path(path_type=Path), help="Write the refused rows here, to be fixed and imported."
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@data_options
def import_people(source: Path, data: Path | None, database_url: str | None, **options: Any) -> None:
    """Import people from a CSV; they become members of the workspace `main`.

    A field comes from a column (email=E-Mail), from several (name=first+last), from a text with columns in it
    (email={first}.{last}@example.org) or is a constant (role='manager'). Fields: email, name, role, is_active,
    profile.KEY. The same file may be imported again, also after it was interrupted. Exit code 1 when rows were refused.
    """
    from autoforge.reading import Source
    from autoforge.users.import_mapping import read_mapping
    from autoforge.users.import_rows import survey
    from autoforge.users.importing import options_of

    chosen = options_of(options["on_existing"], options["dry_run"])
    found = survey(Source.at(source))
    mapping = read_mapping(options["mapping"], found.table.columns)

    async def work(opened: Opened) -> Tally:
        with ExitStack() as stack:
            sink = _Sink(stack, options["errors"], found, quiet=options["as_json"])
            step = stack.enter_context(_progress(f"Importing {source.name}", found.rows))
            return await _store(opened, found, mapping, chosen, sink, step)

    tally = on_data(data, database_url, work)
    _tell(tally, options["dry_run"], options["as_json"], options["errors"])
    sys.exit(1 if tally.failed else 0)


async def _store(opened: Opened, found: Survey, mapping: Any, options: Any, sink: _Sink, step: Any) -> Tally:
    from autoforge.users.import_rows import RowReader
    from autoforge.users.importing import Tally, roles_for, run

    tally = Tally()
    with RowReader(found.table, mapping, roles_for(opened.owner)) as reader:
        async for results, after in run(opened.database, opened.owner, reader, options, label=found.table.source.name):
            sink.add(results)
            tally = after
            step(tally.rows)
    return tally


class _Sink:
    """Where refused rows go: into the report, and the first ones to the terminal."""

    def __init__(self, stack: ExitStack, path: Path | None, found: Survey, *, quiet: bool) -> None:
        from autoforge.users import import_reports

        self._left = 0 if quiet else _SHOWN_ERRORS
        self._file: BinaryIO | None = None
        if path is not None:
            self._file = stack.enter_context(path.open("wb"))
            self._file.write(import_reports.header(found.table.columns))

    def add(self, results: Sequence[Result]) -> None:
        from autoforge.users.import_reports import report_row

        for one in results:
            if not one.faults:
                continue
            faults = [(fault.column, fault.message) for fault in one.faults]
            if self._file is not None:
                self._file.write(report_row(one.checked.line, faults, one.checked.cells))
            for column, message in faults[: self._left]:
                place = f"line {one.checked.line}" + (f", column {column}" if column else "")
                click.echo(f"autoforge: {place}: {message}", err=True)
                self._left -= 1


def _tell(tally: Tally, dry_run: bool, as_json: bool, errors: Path | None) -> None:
    if as_json:
        click.echo(json.dumps({**asdict(tally), "dry_run": dry_run}))
        return
    counts = f"{tally.inserted:,} added, {tally.updated:,} updated, {tally.skipped:,} left as they are"
    click.echo(f"{'Would be: ' if dry_run else ''}{counts}, {tally.failed:,} refused, of {tally.rows:,} rows.")
    if tally.failed and errors is not None:
        click.echo(f"The refused rows are in {errors}: fix them there and import that file.")


@click.command()
@click.option("--days", type=click.IntRange(30, 36_500), help="After so many days without coming (default: 365).")
@click.option("--remove", is_flag=True, help="Remove them. Without it they are only listed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_options
def cleanup(days: int | None, remove: bool, as_json: bool, data: Path | None, database_url: str | None) -> None:
    """List people who stay away, or remove them (they can be restored)."""
    from autoforge.users.cleanup import remove_all, whole_list

    async def work(opened: Opened) -> list[dict[str, Any]] | int:
        setting = opened.settings.inactive_days
        if remove:
            with _progress("Removing", None) as step:
                return await remove_all(opened.database, opened.owner, days, setting, step)
        return await whole_list(opened.database, opened.owner, days, setting)

    done = on_data(data, database_url, work)
    if isinstance(done, int):
        click.echo(json.dumps({"removed": done}) if as_json else f"{done:,} removed.")
    elif as_json:
        click.echo(json.dumps(done, default=str))
    else:
        for one in done:
            click.echo(f"{one['email']:<40} {one['role']:<8} {str(one['last_login_at'] or 'never')[:10]}")
        click.echo(f"{len(done):,} would be removed; --remove does it.")


@contextmanager
def _progress(what: str, total: int | None) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal that is looked at; nothing otherwise."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}: {task.completed:,.0f}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.update(task, completed=count)
