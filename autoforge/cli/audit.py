"""``autoforge audit``: prove that the log of who did what is whole, and export it."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from autoforge.access import audit as log
from autoforge.cli.running import as_json_option, data_options, on_data
from autoforge.errors import BadInput

if TYPE_CHECKING:
    from autoforge.operations.opening import Opened


@click.group()
def audit() -> None:
    """Verify and export the audit log."""


@audit.command()
@click.option("--anchor", help="SEQ:HASH that was noted elsewhere earlier; that entry must still have that hash.")
@as_json_option
@data_options
def verify(anchor: str | None, as_json: bool, data: Path | None, database_url: str | None) -> None:
    """Walk the whole chain. Prints how many entries hold and the newest hash; exit code 1 when one does not."""
    noted = None if anchor is None else _anchor(anchor)

    async def walk(opened: Opened) -> tuple[int, bytes, log.Broken | None]:
        async with opened.database.read() as session:
            return await log.verify(session, noted)

    entries, newest, broken = on_data(data, database_url, walk)
    if as_json:
        import msgspec

        problem = None if broken is None else {"seq": broken.seq, "problem": broken.problem}
        click.echo(msgspec.json.encode({"entries": entries, "hash": newest.hex(), "broken": problem}).decode())
    elif broken is None:
        click.echo(f"{entries:,} entries hold. Newest: {entries}:{newest.hex()}")
    else:
        click.echo(f"{entries:,} entries hold, then: {broken.problem}.")
    raise SystemExit(0 if broken is None else 1)


def _anchor(text: str) -> tuple[int, bytes]:
    seq, _, digest = text.partition(":")
    try:
        return int(seq), bytes.fromhex(digest)
    except ValueError:
        raise BadInput.at("--anchor", "An anchor is SEQ:HASH, as `autoforge audit verify` printed it.") from None


@audit.command()
@click.option("--after", default=0, show_default=True, type=click.IntRange(0), help="Only entries after this number.")
@click.option(
    "-o", "--output", type=click.File("wb"), default="-", help="The file to write (default: standard output)."
)
@data_options
def export(after: int, output: IO[bytes], data: Path | None, database_url: str | None) -> None:
    """All entries as JSON Lines, oldest first, with their hashes; in constant memory."""
    import msgspec

    async def write(opened: Opened) -> None:
        async with opened.database.read() as session:
            async for entry in log.entries(session, after):
                output.write(msgspec.json.encode(entry) + b"\n")

    on_data(data, database_url, write)
