"""Reads of templates: one's own and public ones in one statement, newest or most used first."""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, literal, or_, select, union_all

from autoforge.db import ReadSession, named
from autoforge.db import models as m
from autoforge.db.keyset import KeysetUnion
from autoforge.errors import NotFound

MOST_CATEGORIES = 200
_COLUMNS = (
    m.Template.id,
    m.Template.name,
    m.Template.description,
    m.Template.category,
    m.Template.visibility,
    m.Template.usage_count,
    (m.Template.workspace_id == bindparam("workspace_id")).label("is_own"),
    m.Template.created_at,
    m.Template.updated_at,
    m.Template.row_version,
)
_ONE = named(
    "templates.one",
    select(*_COLUMNS, m.Template.content).where(
        m.Template.id == bindparam("template_id"),
        m.Template.deleted_at.is_(None),
        or_(m.Template.workspace_id == bindparam("workspace_id"), m.Template.visibility == "public"),
    ),
    bounded=True,
)
_VISIBLE = (
    (m.Template.workspace_id == bindparam("workspace_id")) & (m.Template.visibility == "private"),
    m.Template.visibility == "public",
)
"""What a workspace sees, in two halves that have indexes of their own."""
_OF_VISIBILITY = {"": _VISIBLE, "private": _VISIBLE[:1], "public": _VISIBLE[1:]}


def _categories_of(name: str, visible: Any) -> Any:
    """The categories in order, from one to the next in the index, however many templates are in each."""
    used = select(m.Template.category).where(visible, m.Template.deleted_at.is_(None))
    used = used.order_by(m.Template.category).limit(1)
    first = used.where(m.Template.category > "").scalar_subquery()
    steps = select(first.label("category"), literal(1).label("step")).cte(name, recursive=True)
    following = used.where(m.Template.category > steps.c.category).correlate(steps).scalar_subquery()
    goes_on = steps.c.category.is_not(None) & (steps.c.step < MOST_CATEGORIES)
    steps = steps.union_all(select(following, steps.c.step + 1).where(goes_on))
    return select(steps.c.category).where(steps.c.category.is_not(None))


_CATEGORIES = named(
    "templates.categories",
    union_all(*(_categories_of(name, visible) for name, visible in zip(("own", "public"), _VISIBLE, strict=True))),
)


@cache
def _listing(sort: str, by_category: bool, visibility: str) -> KeysetUnion:
    """Private ones of the workspace and public ones of everybody, each in the order of its own index, merged."""
    halves: list[Any] = []
    for visible in _OF_VISIBILITY[visibility]:
        half = select(*_COLUMNS).where(visible, m.Template.deleted_at.is_(None))
        halves.append(half.where(m.Template.category == bindparam("category")) if by_category else half)
    return KeysetUnion("templates.page", halves, key="id", sort=sort)


async def page(
    session: ReadSession,
    workspace_id: UUID,
    sort: str,
    category: str | None,
    limit: int,
    after: str | None,
    visibility: str = "",
) -> tuple[list[dict[str, Any]], str | None]:
    """One page, largest ``created_at`` or ``usage_count`` first, and the cursor of the next (or None).

    ``visibility`` is private, public, or "" for both.
    """
    given = {"workspace_id": workspace_id} | ({} if category is None else {"category": category})
    listing = _listing(sort.removeprefix("-"), category is not None, visibility)
    found = await listing.fetch(session, given, limit=limit, after=after)
    return [_item(row) for row in found.rows], found.next


async def one(session: ReadSession, workspace_id: UUID, template_id: UUID) -> dict[str, Any]:
    """A template that the workspace may see, with its content as stored JSON text."""
    row = await session.first(_ONE, {"template_id": template_id, "workspace_id": workspace_id})
    if row is None:
        raise NotFound(f"There is no template with the id {template_id} that you may see.")
    return _item(row)


async def categories(session: ReadSession, workspace_id: UUID) -> list[str]:
    """The names of the categories in use, in order, for the filter; at most MOST_CATEGORIES."""
    rows = await session.all(_CATEGORIES, {"workspace_id": workspace_id})
    return sorted({row.category for row in rows})[:MOST_CATEGORIES]


def _item(row: Any) -> dict[str, Any]:
    return {**row._mapping, "is_own": bool(row.is_own)}
