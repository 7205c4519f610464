"""``autoforge prompts``: prompts in and out as files, and a look at them from the terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from autoforge.cli.running import data_options, on_data, on_services, settings_of
from autoforge.errors import BadInput, NotFound

if TYPE_CHECKING:
    from autoforge.operations.opening import Opened
    from autoforge.prompts.bulk_commands import Imported
    from autoforge.prompts.diff import ContentDiff
    from autoforge.prompts.exporting import Wanted

FORMATS = ("csv", "json", "jsonl", "yaml", "markdown")
_ENDINGS = {".tsv": "csv", ".ndjson": "jsonl", ".yml": "yaml", ".md": "markdown"}
_SHOWN_ERRORS = 20


@click.group()
def prompts() -> None:
    """Import, export, list, show and compare prompts."""


# --- import --------------------------------------------------------------------------------------------------------


@prompts.command("import")
@click.argument("source", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@click.option("--format", type=click.Choice(FORMATS), help="Default: by the file's ending.")
@click.option("--map", "mapping", multiple=True, metavar="COLUMN=FIELD", help="For files of any shape. Repeatable.")
@click.option("--placeholders", type=click.Choice(("none", "dollar", "braces")), help="Convert ${x} or {x} to {{x}}.")
@click.option("--separator", help="Divides a text into what is asked and what is answered, such as '|||'.")
@click.option("--folder", default="", metavar="PREFIX", help="Put all prompts below this folder.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, store nothing.")
@click.option("--skip-bad", is_flag=True, help="Store the good rows although there are bad ones.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@data_options
def import_(source: Path, data: Path | None, database_url: str | None, **options: Any) -> None:
    """Import prompts, all or none: CSV, JSON, JSONL, YAML, or a folder of Markdown files.

    Prompts that exist get the versions that they lack; importing the same file twice changes nothing.
    Exit code 1 when rows were skipped (--skip-bad) or would fail (--dry-run).
    """
    from autoforge.prompts.formats import ImportOptions, read_records
    from autoforge.prompts.importing import below, import_all, parse_mapping

    how = ImportOptions(
        mapping=parse_mapping(options["mapping"]),
        placeholders=options["placeholders"],
        separator=options["separator"],
    )
    dry_run, skip_bad, as_json = options["dry_run"], options["skip_bad"], options["as_json"]

    async def work(opened: Opened) -> Imported:
        found = below(options["folder"], read_records(source, options["format"], how))
        with _progress(f"Importing {source.name}") as step:
            return await import_all(
                opened.database,
                opened.owner,
                found,
                skip_bad=skip_bad,
                dry_run=dry_run,
                progress=lambda report: step(report.read),
            )

    report = on_data(data, database_url, work)
    _tell(report, dry_run, as_json)
    refused = bool(report.failed) and not skip_bad and not dry_run
    sys.exit(2 if refused else 1 if report.failed else 0)


def _tell(report: Imported, dry_run: bool, as_json: bool) -> None:
    counts = {"created": report.created, "extended": report.extended, "unchanged": report.unchanged}
    if as_json:
        failed = [{"line": one.line, "place": one.place, "message": one.message} for one in report.errors]
        shown = {"stored": report.stored, **counts, "failed_count": report.failed, "failed": failed}
        click.echo(json.dumps(shown, ensure_ascii=False))
    else:
        done = ", ".join(f"{number:,} {name}" for name, number in counts.items())
        if report.stored or dry_run:
            click.echo(f"{'Would be: ' if dry_run else ''}{done}, {report.failed:,} failed.")
    for one in report.errors[:_SHOWN_ERRORS]:
        click.echo(f"autoforge: {one.place or 'row'}: {_one_line(one.message)}", err=True)
    if report.failed > _SHOWN_ERRORS:
        click.echo(f"autoforge: and {report.failed - _SHOWN_ERRORS:,} more", err=True)
    if report.failed and not report.stored and not dry_run:
        click.echo("autoforge: nothing was imported; --skip-bad imports the other rows", err=True)


def _one_line(text: str) -> str:
    return " ".join(text.split())


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int], object]]:
    """A counter on a terminal that is looked at; nothing otherwise."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}: {task.completed:,.0f} prompts"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda count: progress.update(task, completed=count)


# --- export --------------------------------------------------------------------------------------------------------


@prompts.command("export")
@click.argument("target", metavar="FILE|FOLDER|-", type=click.Path(path_type=Path, allow_dash=True))
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--format", type=click.Choice(FORMATS), help="Default: by the file's ending; a folder gets Markdown.")
@click.option("--folder", default="", metavar="PREFIX", help="Only prompts below this folder.")
@data_options
def export(
    target: Path, names: tuple[str, ...], format: str | None, folder: str, data: Path | None, database_url: str | None
) -> None:
    """Export prompts with all their versions, branches and labels; `-` writes to standard output."""
    from autoforge.prompts.exporting import Wanted

    chosen = format or _format_of(target)
    wanted = Wanted(folder, frozenset(names))
    if chosen == "markdown":
        _make_folder(target)
    elif str(target) != "-":
        _check_place(target)

    async def work(opened: Opened) -> int:
        from autoforge.prompts.exporting import must_have

        async with opened.database.read() as session:
            await must_have(session, opened.owner.workspace_id, wanted.names)
        if chosen == "markdown":
            return await _write_folder(opened, wanted, target)
        return await _write_file(opened, wanted, target, chosen)

    count = on_services(settings_of(data, database_url), work)
    click.echo(f"Exported {count:,} {'prompt' if count == 1 else 'prompts'}.", err=True)


def _format_of(target: Path) -> str:
    if str(target) == "-":
        return "jsonl"
    ending = target.suffix.lower()
    known = _ENDINGS.get(ending, ending.removeprefix("."))
    if known in FORMATS:
        return known
    if not ending or target.is_dir():
        return "markdown"
    raise BadInput.at("--format", f"The ending of {target.name} tells no format; name one: {', '.join(FORMATS)}.")


def _make_folder(target: Path) -> None:
    if str(target) == "-":
        raise BadInput.at("FOLDER", "Markdown is written into a folder; standard output takes one file. Name a folder.")
    if target.exists() and not target.is_dir():
        raise BadInput.at("FOLDER", f"{target} is a file; Markdown is written into a folder.")
    if target.is_dir() and any(target.iterdir()):
        raise BadInput.at("FOLDER", f"The folder {target} is not empty; old files would be mixed with new ones.")
    target.mkdir(parents=True, exist_ok=True)


def _check_place(target: Path) -> None:
    if target.is_dir():
        raise BadInput.at("FILE", f"{target} is a folder; name a file in it, or choose --format markdown.")
    if not target.parent.is_dir():
        raise BadInput.at("FILE", f"{target} cannot be written: there is no folder {target.parent}.")


async def _write_file(opened: Opened, wanted: Wanted, target: Path, format: str) -> int:
    """A file appears whole or not at all: it is written beside its place and moved there."""
    if str(target) == "-":
        return await _write(opened, wanted, sys.stdout.buffer, format)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as out:
            count = await _write(opened, wanted, out, format)
        beside.replace(target)
    except OSError as error:
        if str(error.filename) != str(beside):
            raise
        # People know the file that they asked for, not the one beside it.
        raise OSError(error.errno, error.strerror, str(target)) from None
    finally:
        with suppress(OSError):  # what could not even be made; the error itself is on its way
            beside.unlink(missing_ok=True)
    return count


async def _write(opened: Opened, wanted: Wanted, out: BinaryIO, format: str) -> int:
    from autoforge.prompts.exporting import export_records
    from autoforge.prompts.formats import encoder_for

    encoder, count = encoder_for(format), 0
    out.write(encoder.head())
    with _progress("Exporting") as step:
        async with opened.database.read() as session:
            async for record in export_records(session, opened.owner.workspace_id, wanted):
                out.write(encoder.record(record))
                count += 1
                if count % 500 == 0:
                    step(count)
    out.write(encoder.tail())
    out.flush()
    return count


async def _write_folder(opened: Opened, wanted: Wanted, target: Path) -> int:
    from autoforge.prompts.exporting import export_records
    from autoforge.prompts.formats import markdown

    taken: set[str] = set()
    count = 0
    async with opened.database.read() as session:
        async for record in export_records(session, opened.owner.workspace_id, wanted):
            markdown.write_record(record, target, taken)
            count += 1
    return count


# --- looking -------------------------------------------------------------------------------------------------------


@prompts.command("list")
@click.option("--folder", help="Only prompts below this folder.")
@click.option("--status", type=click.Choice(("draft", "active", "archived", "deleted")))
@click.option("--q", "words", help="Words in names, descriptions and contents; the last one may be a beginning.")
@click.option("--sort", default="name", show_default=True, help="name, created_at or updated_at; minus: downwards.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@data_options
def list_(data: Path | None, database_url: str | None, as_json: bool, limit: int | None, **filters: Any) -> None:
    """List prompts with status, labels and the version that `main` is at."""
    from autoforge.prompts.queries import Listing

    asked = Listing(**filters)

    async def work(opened: Opened) -> list[dict[str, Any]]:
        return await _listed(opened, asked, limit)

    items = on_services(settings_of(data, database_url), work)
    if as_json:
        click.echo(_json(items))
        return
    width = max((len(item["name"]) for item in items), default=0)
    for item in items:
        labels = " ".join(f"{label['name']}@{label['number']}" for label in item["labels"])
        click.echo(f"{item['name']:<{width}}  v{item['head_number']:<4} {item['status']:<9} {labels}".rstrip())


async def _listed(opened: Opened, asked: Any, limit: int | None) -> list[dict[str, Any]]:
    from autoforge.prompts import queries

    items: list[dict[str, Any]] = []
    after: str | None = None
    while limit is None or len(items) < limit:
        size = 200 if limit is None else min(200, limit - len(items))
        async with opened.database.read() as session:
            page, after = await queries.page(session, opened.owner.workspace_id, asked, size, after)
        items += page
        if after is None:
            break
    return items


@prompts.command()
@click.argument("reference", metavar="NAME[@LABEL|@VERSION]")
@click.option("--json", "as_json", is_flag=True, help="The content with its name, version and settings.")
@data_options
def show(reference: str, as_json: bool, data: Path | None, database_url: str | None) -> None:
    """Print the text of a prompt: a text prompt as it is, a chat with its roles as headings."""
    from autoforge.prompts.content import PromptContent, readable_text

    async def work(opened: Opened) -> dict[str, Any]:
        return await _referenced(opened, reference)

    found = on_services(settings_of(data, database_url), work)
    if as_json:
        click.echo(_json({**found, "content": json.loads(found["content"])}))
    else:
        click.echo(readable_text(PromptContent.from_json(found["content"])))


@prompts.command()
@click.argument("name")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@data_options
def diff(name: str, a: str, b: str, data: Path | None, database_url: str | None) -> None:
    """Compare two versions of a prompt word by word; A and B are numbers, labels or branches.

    Exit code 0: they are the same; 1: they differ.
    """
    from autoforge.prompts.content import PromptContent
    from autoforge.prompts.diff import diff_contents

    async def work(opened: Opened) -> list[str]:
        return [(await _referenced(opened, f"{name}@{version}"))["content"] for version in (a, b)]

    contents = [PromptContent.from_json(text) for text in on_services(settings_of(data, database_url), work)]
    found = diff_contents(contents[0], contents[1])
    for line in _drawn(found, coloured=sys.stdout.isatty()):
        click.echo(line, color=True)
    sys.exit(0 if found.is_equal else 1)


async def _referenced(opened: Opened, reference: str) -> dict[str, Any]:
    from autoforge.prompts import version_queries
    from autoforge.prompts.names import parse_reference

    wanted = parse_reference(reference)
    async with opened.database.read() as session:
        found = await version_queries.referenced(session, opened.owner.workspace_id, wanted)
    if found is None:
        raise NotFound(f"There is no prompt {reference!r}.")
    return found


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _drawn(found: ContentDiff, *, coloured: bool) -> Iterator[str]:
    """Changed messages with their words marked: in colours, or as ``[-old-]{+new+}`` like ``git diff --word-diff``."""
    from autoforge.prompts.diff import MISSING

    def marked(kind: str, text: str) -> str:
        if kind == "equal" or not text:
            return text
        if coloured:
            return click.style(text, fg="green" if kind == "insert" else "red", strikethrough=kind == "delete")
        return f"{{+{text}+}}" if kind == "insert" else f"[-{text}-]"

    for message in found.messages:
        if message.status == "equal":
            continue
        roles = dict.fromkeys(role for role in (message.old_role, message.new_role) if role)
        yield f"[{' -> '.join(roles)}] {message.status}"
        yield "".join(marked(run.kind, run.text) for run in message.text.runs)
    for change in (*(one for message in found.messages for one in message.changes), *found.changes):
        old = "" if change.old is MISSING else marked("delete", json.dumps(change.old, ensure_ascii=False))
        new = "" if change.new is MISSING else marked("insert", json.dumps(change.new, ensure_ascii=False))
        yield f"{change.pointer}: {old}{new}"
