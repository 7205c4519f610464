"""What commands share: the options that say which data directory, and running asynchronous work on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from autoforge.settings import Settings, load_settings

if TYPE_CHECKING:
    from autoforge.operations.opening import Opened

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else.")


def data_options(command: F) -> F:
    """``--data`` and ``--database-url``, which win over the environment."""
    url = click.option("--database-url", help="Another database than the one in the data directory.")
    folder = click.option("--data", type=click.Path(path_type=Path), help="The data directory (default: ./data).")
    return folder(url(command))


def settings_of(data: Path | None, database_url: str | None, **more: Any) -> Settings:
    """The settings of the environment, with what the command line says on top."""
    given = {"data": data, "database_url": database_url, **more}
    return load_settings(**{key: value for key, value in given.items() if value is not None})


def on_services(settings: Settings, work: Callable[[Opened], Awaitable[T]]) -> T:
    """Opens (and migrates) the data directory, does the work, and closes it again."""
    from autoforge.operations.opening import open_services

    async def run() -> T:
        async with open_services(settings) as services:
            return await work(services)

    return asyncio.run(run())


def on_data(data: Path | None, database_url: str | None, work: Callable[[Opened], Awaitable[T]]) -> T:
    """:func:`on_services` of a data directory as it is: no samples are added to a new one."""
    return on_services(settings_of(data, database_url, samples=False), work)


def print_json(value: Any) -> None:
    """Indented; what JSON has no words for (ids, times) as text."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))
