"""What the audit log's entries are about: the names of their subjects today, and where each is looked at.

The log itself keeps ids alone: names change, and an entry never does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, false, literal_column, select, union_all

from autoforge.db import ReadSession, named
from autoforge.db import models as m
from autoforge.web.links import Links

_NOBODY = UUID(int=0)
_IN_WORKSPACES: Mapping[str, tuple[Any, Any, Any]] = {
    "prompt": (m.Prompt, m.Prompt.name, m.Prompt.deleted_at),
    "template": (m.Template, m.Template.name, m.Template.deleted_at),
    "suite": (m.Suite, m.Suite.name, m.Suite.deleted_at),
    "evaluation": (m.Evaluation, m.Evaluation.name, m.Evaluation.deleted_at),
    "key": (m.ApiKey, m.ApiKey.name, None),
    "job": (m.Job, m.Job.task, None),
}
_JOBS = {"import": "job", "cleanup": "job"}
"""Kinds of subjects that are jobs by another name."""


def _columns(kind: str, id: Any, name: Any, gone: Any, slug: Any) -> tuple[Any, ...]:
    is_gone = false() if gone is None else gone.is_not(None)
    return literal_column(f"'{kind}'").label("kind"), id, name.label("name"), is_gone.label("is_gone"), slug


def _of(kind: str, id: Any) -> Any:
    return id.in_(bindparam(f"{kind}_ids", expanding=True, type_=id.type))


def _part(kind: str) -> Any:
    table, name, gone = _IN_WORKSPACES[kind]
    columns = _columns(kind, table.id, name, gone, m.Workspace.slug)
    place = m.Workspace.id == table.workspace_id
    return select(*columns).select_from(table).join(m.Workspace, place).where(_of(kind, table.id))


_PERSON = select(*_columns("user", m.User.id, m.User.name, m.User.deleted_at, literal_column("''").label("slug")))
_PLACE = select(*_columns("workspace", m.Workspace.id, m.Workspace.name, m.Workspace.deleted_at, m.Workspace.slug))
_NAMES = named(
    "audit.subjects",
    union_all(
        _PERSON.where(_of("user", m.User.id)),
        _PLACE.where(_of("workspace", m.Workspace.id)),
        *map(_part, _IN_WORKSPACES),
    ),
    bounded=True,
)


async def names(session: ReadSession, entries: Iterable[Any]) -> dict[tuple[str, str], Any]:
    """(kind, id) -> name, is_gone, slug (of the workspace it is in) of what one page of entries is about."""
    wanted: dict[str, list[UUID]] = {kind: [_NOBODY] for kind in ("user", "workspace", *_IN_WORKSPACES)}
    for entry in entries:
        key = _key(entry.subject_id)
        kind = _JOBS.get(entry.subject_kind, entry.subject_kind)
        if key is not None and kind in wanted:
            wanted[kind].append(key)
    rows = await session.all(_NAMES, {f"{kind}_ids": keys for kind, keys in wanted.items()})
    return {(row.kind, str(row.id)): row for row in rows}


def _key(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def subject(entry: Any, found: Mapping[tuple[str, str], Any], is_admin: bool) -> dict[str, Any]:
    """``name`` ("" when there is no trace of it), ``url`` ("" when it has no page, or not for them), ``is_gone``."""
    row = found.get((_JOBS.get(entry.subject_kind, entry.subject_kind), entry.subject_id))
    if row is None:
        return {"name": "", "url": "", "is_gone": False}
    is_gone = bool(row.is_gone)
    url = "" if is_gone else _address(entry.subject_kind, entry.subject_id, Links(row.slug or "main"), is_admin)
    return {"name": row.name, "url": url, "is_gone": is_gone}


def _address(kind: str, id: str, links: Links, is_admin: bool) -> str:
    if kind == "user":
        return links.person(id) if is_admin else ""
    if kind == "import":
        return links.members(f"import/jobs/{id}")
    if kind in ("workspace", "key"):
        return links.overview if kind == "workspace" else links.keys()
    pages: dict[str, Any] = {
        "prompt": links.prompt,
        "template": links.template,
        "suite": links.suite,
        "evaluation": links.evaluation,
    }
    return str(pages.get(kind, links.job)(id))
