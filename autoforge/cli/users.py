"""``autoforge users``: make people, list them, and hand out links to sign in; also while a server runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoforge.cli.entering import kept_address, sign_in_link
from autoforge.cli.running import as_json_option, data_options, on_data, print_json
from autoforge.errors import NotFound
from autoforge.users import commands, queries
from autoforge.users.queries import Listing

if TYPE_CHECKING:
    from autoforge.operations.opening import Opened

_MOST = 200


_APART = {"import": "import_people", "cleanup": "cleanup"}


class _WithImport(click.Group):
    """``import`` and ``cleanup`` live in a module of their own, which is read only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_APART]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _APART:
            found: click.Command = getattr(import_module("autoforge.cli.user_import"), _APART[cmd_name])
            return found
        return super().get_command(ctx, cmd_name)


@click.group(cls=_WithImport)
def users() -> None:
    """Make, list and import people, and hand out links to sign in."""


@users.command()
@click.argument("email")
@click.option("--name", help="What the person is called (default: the part before the @).")
@click.option("--role", type=click.Choice(["admin", "manager", "user"]), default="user", show_default=True)
@as_json_option
@data_options
def create(email: str, name: str | None, role: str, as_json: bool, data: Path | None, database_url: str | None) -> None:
    """Make a person, and print the link with which they choose a password (once, within 24 hours)."""
    draft = commands.Draft(email, name or email.partition("@")[0], role)

    async def make(opened: Opened) -> dict[str, Any]:
        async with opened.database.write() as session:
            user_id = await commands.create(session, opened.owner, draft)
            token = await commands.hand_link(session, opened.secret, opened.owner, user_id)
        return {"id": str(user_id), "link": f"{kept_address(opened.settings)}/welcome#token={token}"}

    made = on_data(data, database_url, make)
    if as_json:
        print_json(made)
    else:
        click.echo(
            f"{email} is {made['id']}. Hand this link over; it works once, for 24 hours:\n\n    {made['link']}\n"
        )


@users.command("list")
@click.option("--role", type=click.Choice(["admin", "manager", "user"]), help="Only these.")
@click.option("--inactive", is_flag=True, help="Only those who may not sign in.")
@click.option("--search", default="", help="How a name or an address begins.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, _MOST), help="The first so many.")
@as_json_option
@data_options
def list_users(
    role: str | None,
    inactive: bool,
    search: str,
    limit: int,
    as_json: bool,
    data: Path | None,
    database_url: str | None,
) -> None:
    """The newest people, or those that a search finds."""
    asked = Listing(role=role, active=False if inactive else None, words=search)

    async def read(opened: Opened) -> list[dict[str, Any]]:
        async with opened.database.read() as session:
            return (await queries.page(session, asked, limit, None))[0]

    rows = on_data(data, database_url, read)
    if as_json:
        print_json(rows)
    elif rows:
        _print_table(rows)
    else:
        click.echo("Nobody matches.")


@users.command()
@click.option("--email", help="For this person (default: the owner).")
@data_options
def link(email: str | None, data: Path | None, database_url: str | None) -> None:
    """Print a link that signs somebody in, once, within 15 minutes."""

    async def make(opened: Opened) -> str:
        user_id = opened.owner.user_id if email is None else await _id_of(opened, email)
        return await sign_in_link(opened, user_id)

    click.echo(on_data(data, database_url, make))


async def _id_of(opened: Opened, email: str) -> Any:
    from autoforge.access.queries import for_sign_in

    async with opened.database.read() as session:
        person = await for_sign_in(session, commands.valid_email(email, "--email"))
    if person is None or not person.is_active:
        raise NotFound(f"Nobody active has the address {email}.")
    return person.id


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("email", "name", "role", "state", "last sign-in", box=None, header_style="bold")
    for row in rows:
        seen = f"{row['last_login_at']:%Y-%m-%d %H:%M}" if row["last_login_at"] else "never"
        table.add_row(row["email"], row["name"], row["role"], "active" if row["is_active"] else "deactivated", seen)
    Console().print(table)
