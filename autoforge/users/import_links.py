"""Links by which imported people come in for the first time: one file with a link for each who has never signed in.

The upload is read once more, so that the links are for exactly the people whom it names. A link stands in that file
and nowhere else: the database has its hash. A batch is committed before its links are given out, and whoever asks
again gets new links, which replace those that nobody has used.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, select

from autoforge.access import Actor, audit, sessions
from autoforge.db import Database, WriteSession, named
from autoforge.db import models as m
from autoforge.reading import Source
from autoforge.reading.tables import read_table
from autoforge.users.commands import needs_admin
from autoforge.users.import_mapping import read_mapping
from autoforge.users.import_queries import Import
from autoforge.users.import_reports import safe_cell
from autoforge.users.import_rows import LARGEST, RowReader
from autoforge.users.importing import roles_for

BATCH = 500
_WAITING = named(
    "users.never_signed_in",
    select(m.User.id, m.User.name, m.User.email)
    .where(m.User.email.in_(bindparam("emails", expanding=True)), m.User.deleted_at.is_(None))
    .where(m.User.is_active, m.User.last_login_at.is_(None))
    .with_for_update(),
)


@dataclass(frozen=True, slots=True)
class Handed:
    """Who gets a link, and its token."""

    name: str
    email: str
    token: str


def needs_inviter(actor: Actor) -> None:
    """Forbidden for all but admins: such a link lets its holder in as that person, whoever they are on this server."""
    needs_admin(actor)
    actor.needs("users:admin")


async def make_links(
    database: Database, secret: bytes, actor: Actor, found: Import, path: Path
) -> AsyncGenerator[Sequence[Handed], None]:
    """The links in the order of the file, batch by batch, each after its commit. No batch is empty."""
    needs_inviter(actor)
    table = await asyncio.to_thread(read_table, Source.at(path, found.asked.name), limit=LARGEST)
    with RowReader(table, read_mapping(found.asked.mapping, table.columns), roles_for(actor)) as reader:
        while batch := await asyncio.to_thread(reader.batch, BATCH):
            emails = [one.draft.email for one in batch if one.draft is not None]
            made = await database.transact(_hand, secret, actor, str(found.row.id), emails) if emails else ()
            if made:
                yield made


async def _hand(
    session: WriteSession, secret: bytes, actor: Actor, label: str, emails: Sequence[str]
) -> Sequence[Handed]:
    rows = {row.email: row for row in await session.all(_WAITING, {"emails": list(emails)})}
    waiting = [rows[email] for email in emails if email in rows]
    tokens = await sessions.make_welcomes(session, secret, actor, waiting)
    for row in waiting:
        audit.record(session, actor, "password_link_made", "user", row.id, {"import": label})
    return [Handed(row.name, row.email, token) for row, token in zip(waiting, tokens, strict=True)]


async def as_csv(
    first: Sequence[Handed], rest: AsyncGenerator[Sequence[Handed], None], link: Callable[[str], str]
) -> AsyncGenerator[bytes, None]:
    """A row for each, with the mark that makes spreadsheets read UTF-8; no cell is run as a formula."""
    yield "\ufeff".encode() + _lines([("name", "email", "link")])
    yield _table(first, link)
    async with aclosing(rest):
        async for batch in rest:
            yield _table(batch, link)


def _table(batch: Sequence[Handed], link: Callable[[str], str]) -> bytes:
    return _lines([(safe_cell(one.name), safe_cell(one.email), link(one.token)) for one in batch])


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
