"""Reads of people: the list, one person, the figures. Each function is one statement.

A column is read only when a list of names here says so, and ``password_hash`` is on none of them: it can be neither
selected nor sorted by. Every list walks an index that has its order, so that a page costs the same among a thousand
and among a million people. A search looks names and addresses up by their beginning, each in its own index, and merges.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, Subquery, bindparam, func, literal, select, union_all

from autoforge.db import ReadSession, clock, named
from autoforge.db import models as m
from autoforge.db.columns import items
from autoforge.db.keyset import KeysetQuery
from autoforge.db.types import Instant
from autoforge.errors import BadInput, NotFound

_COLUMNS: Mapping[str, Any] = {
    "id": m.User.id,
    "name": m.User.name,
    "email": m.User.email,
    "role": m.User.role,
    "is_active": m.User.is_active,
    "last_login_at": m.User.last_login_at,
    "created_at": m.User.created_at,
}
ITEM_FIELDS = tuple(_COLUMNS)
SORTS: Mapping[str, Any] = {"created_at": m.User.created_at, "name": m.User.name_key}
_FILTERS: Mapping[str, Any] = {
    "role": m.User.role == bindparam("role"),
    "active": m.User.is_active,
    "inactive": ~m.User.is_active,
}
_FOUND = ("found_by", "found_id")
_LAST = "\U0010ffff"
"""No character is beyond this one: what begins with a text lies between the text and the text followed by it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list shows. ``sort`` is created_at or name, with a minus for downwards; a search has its own order."""

    sort: str = "-created_at"
    role: str | None = None
    active: bool | None = None
    deleted: bool = False
    words: str = ""
    fields: tuple[str, ...] = ITEM_FIELDS

    @property
    def sort_column(self) -> str:
        """BadInput for a column that lists cannot be sorted by."""
        column = self.sort.removeprefix("-")
        if column not in SORTS:
            raise BadInput.at("?sort", f"A list of people is sorted by {', '.join(SORTS)}, not {column!r}.")
        return column

    @property
    def filters(self) -> frozenset[str]:
        chosen = {"role"} if self.role else set()
        return frozenset(chosen | ({"active" if self.active else "inactive"} if self.active is not None else set()))


async def page(
    session: ReadSession, asked: Listing, limit: int, after: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """One page of all people of the server, and the cursor of the next (or None)."""
    given: dict[str, Any] = {"role": asked.role} if asked.role else {}
    words = asked.words.strip()
    sort = asked.sort_column
    if words:
        given |= {"words": words.lower(), "end": words.lower() + _LAST}
    query = _listing(asked.fields, "" if words else sort, asked.sort.startswith("-"), asked.deleted, asked.filters)
    found = await query.fetch(session, given, limit=limit, after=after)
    return items(found.rows, asked.fields), found.next


@lru_cache(256)
def _listing(
    fields: tuple[str, ...], sort: str, descending: bool, deleted: bool, filters: frozenset[str]
) -> KeysetQuery:
    """The list with these filters; without a sort, it is a search."""
    columns = [_COLUMNS[name] for name in fields]
    gone = m.User.deleted_at.is_not(None) if deleted else m.User.deleted_at.is_(None)
    conditions = [gone, *(_FILTERS[name] for name in sorted(filters))]
    if sort:
        statement: Select[Any] = select(*columns).where(*conditions)
        return KeysetQuery("users.page", statement, key=m.User.id, sort=SORTS[sort], descending=descending)
    named_so = _begins(m.User.name_key)
    by_name = _matching(columns, conditions, m.User.name_key, named_so)
    by_email = _matching(columns, conditions, m.User.email, _begins(m.User.email) & ~named_so)
    return _Search(fields, by_name, by_email)


class _Search(KeysetQuery):
    """A page of two lists in one order. Each gives at most a page's rows from its index, and these are merged."""

    def __init__(self, fields: tuple[str, ...], *lists: KeysetQuery) -> None:
        whole = _united(fields, [one.first for one in lists])
        wanted: Select[Any] = select(*(whole.c[name] for name in fields))
        super().__init__("users.search", wanted, key=whole.c.found_id, sort=whole.c.found_by, descending=False)
        rest = _united(fields, [one.following for one in lists])
        merged = select(*(rest.c[name] for name in (*fields, *_FOUND))).order_by(rest.c.found_by, rest.c.found_id)
        self.following = named("users.search", merged.limit(bindparam("keyset_limit", type_=Integer)), bounded=True)


def _united(fields: tuple[str, ...], pages: list[Any]) -> Subquery:
    parts = [page.subquery() for page in pages]
    return union_all(*(select(*(part.c[name] for name in (*fields, *_FOUND))) for part in parts)).subquery("found")


def _begins(column: Any) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = (column >= bindparam("words")) & (column < bindparam("end"))
    return condition


def _matching(columns: list[Any], conditions: list[Any], by: Any, match: ColumnElement[bool]) -> KeysetQuery:
    found_id, found_by = m.User.id.label("found_id"), by.label("found_by")
    statement: Select[Any] = select(*columns, found_id, found_by).where(*conditions, match)
    return KeysetQuery("users.search", statement, key=m.User.id, sort=by, descending=False)


_DETAIL = (
    *_COLUMNS.values(),
    m.User.profile,
    m.User.updated_at,
    m.User.deleted_at,
    m.User.row_version,
    m.User.password_hash.is_not(None).label("has_password"),
)
_ONE = named("users.one", select(*_DETAIL).where(m.User.id == bindparam("user_id")), bounded=True)
_PLACES = named(
    "users.places",
    select(m.Workspace.slug, m.Workspace.name, m.Workspace.kind, m.Membership.role)
    .join(m.Membership, m.Membership.workspace_id == m.Workspace.id)
    .where(m.Membership.user_id == bindparam("user_id"), m.Workspace.deleted_at.is_(None))
    .order_by(m.Workspace.kind.desc(), m.Membership.created_at, m.Workspace.id)
    .limit(200),
    bounded=True,
)
_ALIVE = m.User.deleted_at.is_(None)
_FIGURES = named(
    "users.figures",
    select(
        select(func.count()).select_from(m.User).where(_ALIVE).scalar_subquery().label("total"),
        select(func.count()).select_from(m.User).where(_ALIVE, ~m.User.is_active).scalar_subquery().label("inactive"),
        select(func.count())
        .select_from(m.User)
        .where(_ALIVE, m.User.created_at >= bindparam("today", type_=Instant()))
        .scalar_subquery()
        .label("new_today"),
        select(func.count())
        .select_from(m.User)
        .where(_ALIVE, m.User.role == literal("admin"))
        .scalar_subquery()
        .label("admins"),
    ),
)


async def one(session: ReadSession, user_id: UUID) -> dict[str, Any]:
    """A person in full, deleted or not (``deleted_at`` tells). NotFound when there is none."""
    row = await session.first(_ONE, {"user_id": user_id})
    if row is None:
        raise NotFound(f"There is no person with the id {user_id}.")
    return {**row._mapping, "profile": json.loads(row.profile)}


async def places(session: ReadSession, user_id: UUID) -> list[dict[str, Any]]:
    """The workspaces of a person: slug, name, kind and role there."""
    return [dict(row._mapping) for row in await session.all(_PLACES, {"user_id": user_id})]


async def statistics(session: ReadSession) -> dict[str, int]:
    """How many there are, how many of them are active, and who came today (UTC): one statement."""
    now = clock.now()
    today = now - timedelta(hours=now.hour, minutes=now.minute, seconds=now.second, microseconds=now.microsecond)
    row = await session.first(_FIGURES, {"today": today})
    assert row is not None
    figures = {"total": row.total, "active": row.total - row.inactive, "new_today": row.new_today}
    return {**figures, "admins": row.admins}
