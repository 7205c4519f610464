"""``autoforge serve``: the whole product.

The command prepares everything (sockets, migrations, samples), so that a failure is one line, and then becomes the
supervisor (:mod:`autoforge.supervisor`): same process, but nothing of what the preparation took.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from autoforge.cli.running import data_options, settings_of
from autoforge.errors import AutoforgeError, BadInput
from autoforge.operations.noticed import ADDRESS
from autoforge.settings import BACKLOG, Settings
from autoforge.telemetry import logs, traces


@click.command()
@click.option("--host", help="The address to listen on (default: 127.0.0.1); others can reach more with a secret only.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65_535), help="0 picks a free one.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 16), help="Processes that answer.")
@data_options
@click.option("--cache-url", help="Redis, where several hosts share a database (redis://HOST:PORT/NUMBER).")
@click.option("--no-samples", is_flag=True, help="Start empty: no sample data on the first start.")
def serve(
    host: str | None,
    port: int,
    workers: int,
    data: Path | None,
    database_url: str | None,
    cache_url: str | None,
    no_samples: bool,
) -> None:
    """Serve the pages and the API, and make the data directory on the first start."""
    settings = settings_of(data, database_url, cache_url=cache_url, host=host, samples=False if no_samples else None)
    logs.configure(settings.log_level)
    _check_reach(settings)
    if settings.traces:
        traces.check()
    alone = must_be_alone(settings)
    if workers > 1 and alone:
        click.echo(f"autoforge: one worker instead of {workers}. {alone}", err=True)
        workers = 1
    sockets = listening_sockets(settings.host, port, workers)
    address = address_of(settings, sockets[0].getsockname()[1])
    _tell_of_others(settings, alone)
    link = _prepare(settings, address)
    for one in sockets:  # who follows the link at once waits for the first worker, and is not refused
        one.listen(BACKLOG)
    click.echo(f"AutoForgeNexus is at {address}  (data: {settings.data})")
    if link:
        click.echo(f"Nobody has signed in yet. Open this link; it works once, for 15 minutes:\n\n    {link}\n")
    os.environ[ADDRESS] = address
    _become_supervisor(settings, sockets, alone=bool(alone))


def _tell_of_others(settings: Settings, alone: str) -> None:
    """A second server on the same data directory is more often a mistake than a plan."""
    from autoforge.cli.entering import live_addresses

    if others := live_addresses(settings.data):
        told = f"autoforge: a server at {', '.join(others)} uses the data directory {settings.data} already."
        click.echo(f"{told} {alone or 'Links that commands print will lead to this one from now on.'}", err=True)


def must_be_alone(settings: Settings) -> str:
    """Why no second process may write to the database; "" when several may."""
    if not settings.database_url.startswith("sqlite"):
        return ""
    from autoforge.db.driver import dbapi
    from autoforge.db.engines import version_warnings

    if settings.database.mmap_mb:
        return "AUTOFORGE_DATABASE_MMAP_MB must be 0 where several processes write to a SQLite file."
    return "".join(version_warnings(dbapi.sqlite_version_info))


def _check_reach(settings: Settings) -> None:
    """What others can reach needs a secret that all processes share, and people who sign in."""
    if settings.is_local:
        return
    if settings.secret is None:
        detail = f"Others can reach {settings.host}: set AUTOFORGE_SECRET (at least 32 characters), or use 127.0.0.1."
        raise BadInput.at("--host", detail)
    if not settings.sign_in:
        detail = f"Others can reach {settings.host}, so people have to sign in: do not set AUTOFORGE_SIGN_IN to false."
        raise BadInput.at("--host", detail)


def address_of(settings: Settings, port: int) -> str:
    """Where people find the server: at the first of its configured names, else at the address that it listens on."""
    name = settings.public_hosts.split(",")[0].strip() or settings.host
    name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(name, name)
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def listening_sockets(host: str, port: int, count: int) -> list[socket.socket]:
    """One socket per worker on the same port, the first free one for 0; a clear error when somebody else has it.

    Linux deals new connections out among them. They do not listen yet.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sockets: list[socket.socket] = []
    try:
        with socket.socket(family) as probe:  # sockets that share a port would also share it with a stranger
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            port = int(probe.getsockname()[1])
        for _ in range(count):
            sockets.append(socket.socket(family))
            sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if count > 1:
                sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sockets[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sockets[-1].bind((host, port))
    except OSError as error:
        raise AutoforgeError(f"Cannot listen on {host}:{port}: {error.strerror}. Choose another --port.") from error
    return sockets


def _prepare(settings: Settings, address: str) -> str:
    """Migrates and fills the data directory before the server starts.

    Returns a link to sign in with, as long as nobody has ever signed in; else "".
    """
    import asyncio

    from autoforge.access.queries import has_anybody_signed_in
    from autoforge.cli.entering import keep_address, sign_in_link
    from autoforge.operations.opening import open_services

    async def once() -> str:
        async with open_services(settings) as services:
            keep_address(settings, address)
            async with services.database.read() as session:
                if not settings.sign_in or await has_anybody_signed_in(session):
                    return ""
            return await sign_in_link(services, services.owner.user_id, address)

    return asyncio.run(once())


def files_of(settings: Settings) -> list[str]:
    """The embedded database and its log."""
    from autoforge.db.engines import file_of, log_of, parse_url

    url = parse_url(settings.database_url)
    if url.get_backend_name() != "sqlite":
        return []
    file = file_of(url)
    return [os.fspath(file), os.fspath(log_of(file))]


def _become_supervisor(settings: Settings, sockets: Sequence[socket.socket], *, alone: bool) -> NoReturn:
    os.environ.update(settings.as_environment())  # the worker processes read their settings from here
    plan = {
        "sockets": [one.fileno() for one in sockets],
        "drain": settings.drain_seconds,
        "delay": settings.shutdown_delay_seconds,
        "patience": settings.stop_seconds,
        "alone": alone,
        "level": settings.log_level,
        "warm": files_of(settings) if settings.database.warm_mb else [],
        "warm_bytes": settings.database.warm_mb * 1024 * 1024,
    }
    for one in sockets:
        one.set_inheritable(True)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "autoforge.supervisor", json.dumps(plan)])
