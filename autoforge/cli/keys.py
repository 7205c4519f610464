"""``autoforge keys``: API keys for programs, made and revoked as the owner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoforge.access import Actor, queries, sessions
from autoforge.cli.running import as_json_option, data_options, on_data, print_json
from autoforge.db.ids import parse_id
from autoforge.errors import BadInput, NotFound

if TYPE_CHECKING:
    from autoforge.operations.opening import Opened

_WORKSPACE = click.option("--workspace", default="main", show_default=True, help="The workspace that a key is for.")


@click.group()
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command()
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, default=("*:write",), show_default=True, help="AREA:read|write|admin."
)
@click.option("--days", type=click.IntRange(1, sessions.MOST_DAYS), help="Days until it expires (default: never).")
@_WORKSPACE
@as_json_option
@data_options
def create(
    name: str,
    scopes: tuple[str, ...],
    days: int | None,
    workspace: str,
    as_json: bool,
    data: Path | None,
    database_url: str | None,
) -> None:
    """Make a key and print it; it is shown this once."""

    async def make(opened: Opened) -> sessions.MadeKey:
        actor = await _in(opened, workspace)
        async with opened.database.write() as session:
            return await sessions.make_key(session, opened.secret, actor, name, scopes, days)

    made = on_data(data, database_url, make)
    click.echo(f'{{"id": "{made.key_id}", "key": "{made.text}"}}' if as_json else made.text)


@keys.command("list")
@_WORKSPACE
@as_json_option
@data_options
def list_keys(workspace: str, as_json: bool, data: Path | None, database_url: str | None) -> None:
    """The keys of a workspace: their beginnings and what they may do, never themselves."""

    async def read(opened: Opened) -> list[dict[str, Any]]:
        actor = await _in(opened, workspace)
        async with opened.database.read() as session:
            return await queries.keys(session, actor)

    rows = on_data(data, database_url, read)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        state = "revoked" if row["revoked_at"] else f"until {row['expires_at']:%Y-%m-%d}" if row["expires_at"] else ""
        click.echo(f"{row['id']}  {row['prefix']}…  {row['name']}  {', '.join(row['scopes'])}  {state}".rstrip())


@keys.command()
@click.argument("key_id", metavar="ID")
@_WORKSPACE
@data_options
def revoke(key_id: str, workspace: str, data: Path | None, database_url: str | None) -> None:
    """Take a key out of use: at once, also in a running server."""
    parsed = parse_id(key_id)
    if parsed is None:
        raise BadInput.at("ID", f"{key_id!r} is no id of a key; `autoforge keys list` shows them.")

    async def end(opened: Opened) -> None:
        actor = await _in(opened, workspace)
        async with opened.database.write() as session:
            await sessions.revoke_key(session, actor, parsed)

    on_data(data, database_url, end)
    click.echo("The key is revoked.")


async def _in(opened: Opened, slug: str) -> Actor:
    """The owner, in this workspace."""
    async with opened.database.read() as session:
        found = await queries.first_admin(session, slug)
    if found is None:
        raise NotFound(f"There is no workspace {slug!r}.")
    return found
