"""``autoforge doctor``: a review of an installation, also while it serves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from autoforge.cli.running import data_options, settings_of
from autoforge.errors import BadInput

if TYPE_CHECKING:
    from autoforge.operations.doctor.finding import Report
    from autoforge.settings import Settings


@click.command()
@click.option("--ignore", multiple=True, metavar="ID", help="A finding that is known and accepted; may be repeated.")
@click.option(
    "--seconds", default=20.0, show_default=True, type=click.FloatRange(0.1, 3600), help="That one check may take."
)
@click.option("--cache-url", help="Redis, where several hosts share a database (redis://HOST:PORT/NUMBER).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else.")
@data_options
def doctor(
    ignore: tuple[str, ...],
    seconds: float,
    cache_url: str | None,
    as_json: bool,
    data: Path | None,
    database_url: str | None,
) -> None:
    """Review the installation: findings by harm, each with evidence and the exact remedy.

    Reads only; what has to be tried is tried on a temporary copy. Safe beside a running server, whose live figures
    are used when it is reached. Settings are those of this command's environment: give it that of the server. Exit
    code 1 when something was found.
    """
    _check_ids(ignore)
    report = asyncio.run(_examine(settings_of(data, database_url, cache_url=cache_url), ignore, seconds))
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(report.as_data()), indent=2))
    else:
        from autoforge.operations.doctor.printing import markdown

        click.echo(markdown(report), nl=False)
    raise SystemExit(0 if report.healthy else 1)


def _check_ids(ignored: tuple[str, ...]) -> None:
    """BadInput for an id that no finding has: it would be accepted for nothing."""
    from difflib import get_close_matches

    from autoforge.operations.doctor.finding import IDS

    for one in ignored:
        if one not in IDS:
            near = get_close_matches(one, sorted(IDS), 1, 0.0)
            raise BadInput.at("--ignore", f"There is no finding {one}; the nearest name is {near[0]}.")


async def _examine(settings: Settings, ignored: tuple[str, ...], seconds: float) -> Report:
    from autoforge.operations.doctor.visit import examine

    return await examine(settings, ignored=ignored, seconds=seconds)
