"""Changes to suites and their cases.

Cases are immutable rows. Storing a suite again keeps the row of every case whose content is the same (so that runs
before and after stay comparable case by case), retires those that are gone and adds those that are new; only a case's
position and name, which are labels, are ever updated.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from autoforge.access import Actor, audit
from autoforge.db import WriteSession, bulk, clock, named
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.errors import BadInput, Conflict, NotFound, Stale
from autoforge.evaluations.cases import Case
from autoforge.evaluations.stored_cases import case_content, content_hash, storable

LONGEST_NAME = 200
LONGEST_DESCRIPTION = 20_000
_EDITABLE = ("name", "description")


@dataclass(frozen=True, slots=True)
class StoredSuite:
    """A suite as it is stored: the ids of ``cases``, in the same order."""

    suite_id: UUID
    case_ids: Sequence[UUID]
    cases: Sequence[Case] = ()


@dataclass(slots=True)
class _Changes:
    """What turns the stored cases into the wanted ones; ``ids`` are those of the wanted cases in order."""

    ids: list[UUID] = field(default_factory=list)
    new: list[dict[str, Any]] = field(default_factory=list)
    moved: list[dict[str, Any]] = field(default_factory=list)
    retired: list[UUID] = field(default_factory=list)

    @property
    def any(self) -> bool:
        return bool(self.new or self.moved or self.retired)


_BY_NAME = named(
    "suites.by_name_for_update",
    select(m.Suite.id, m.Suite.description)
    .where(
        m.Suite.workspace_id == bindparam("workspace_id"),
        m.Suite.name == bindparam("name"),
        m.Suite.deleted_at.is_(None),
    )
    .with_for_update(),
    bounded=True,
)
_OWNED = named(
    "suites.owned_for_update",
    select(m.Suite.name, m.Suite.row_version, m.Suite.deleted_at, m.Suite.case_count)
    .where(m.Suite.id == bindparam("suite_id"), m.Suite.workspace_id == bindparam("workspace_id"))
    .with_for_update(),
    bounded=True,
)
_CASES = named(
    "suites.live_cases",
    select(m.TestCase.id, m.TestCase.position, m.TestCase.name, m.TestCase.content_hash)
    .where(m.TestCase.suite_id == bindparam("suite_id"), m.TestCase.deleted_at.is_(None))
    .order_by(m.TestCase.position),
)
_CASE = named(
    "suites.live_case",
    select(m.TestCase.position).where(
        m.TestCase.id == bindparam("case_id"),
        m.TestCase.suite_id == bindparam("suite_id"),
        m.TestCase.deleted_at.is_(None),
    ),
    bounded=True,
)
_RETIRE_CASE = named(
    "suites.retire_case",
    update(m.TestCase).where(m.TestCase.id == bindparam("case_id")).values(deleted_at=bindparam("retired_at")),
)


def touched(session: WriteSession, actor: Actor) -> None:
    session.touch(f"suites:{actor.workspace_id.hex}")


async def store_suite(
    session: WriteSession, actor: Actor, name: str, description: str, cases: Sequence[Case], is_sample: bool = False
) -> StoredSuite:
    """Makes the suite ``name`` hold exactly ``cases``, in this order; the same case may come more than once.

    An empty ``description`` keeps the one that is stored.
    """
    name, description = checked_name(name), checked_description(description)
    suite_id, known = await _suite_named(session, actor, name, description, is_sample)
    changes = await _make_hold(session, suite_id, cases)
    described = bool(description) and description != known
    if changes.any or described:
        values: dict[str, Any] = {"case_count": len(cases)}
        await _set(session, suite_id, values | ({"description": description} if described else {}))
        if not is_sample:
            audit.record(session, actor, "suite_stored", "suite", suite_id, {"name": name, "cases": len(cases)})
    touched(session, actor)
    return StoredSuite(suite_id, changes.ids, cases)


async def create_suite(
    session: WriteSession, actor: Actor, name: str, description: str, cases: Sequence[Case]
) -> StoredSuite:
    """As :func:`store_suite`, but Conflict when there is a suite of this name already."""
    if await session.first(_BY_NAME, {"workspace_id": actor.workspace_id, "name": checked_name(name)}):
        raise _taken(checked_name(name))
    return await store_suite(session, actor, name, description, cases)


async def _suite_named(
    session: WriteSession, actor: Actor, name: str, description: str, is_sample: bool
) -> tuple[UUID, str]:
    """The id and description of the suite with this name, which is made when there is none."""
    key = {"workspace_id": actor.workspace_id, "name": name}
    if found := await session.first(_BY_NAME, key):
        return found.id, found.description
    row = _suite_row(actor, name, description, is_sample)
    try:
        async with session.begin_nested():
            await session.execute(insert(m.Suite), row)
    except IntegrityError:  # somebody else was quicker
        if found := await session.first(_BY_NAME, key):
            return found.id, found.description
        raise
    return row["id"], description


def _suite_row(actor: Actor, name: str, description: str, is_sample: bool) -> dict[str, Any]:
    now = clock.now()
    return {
        "id": new_id(),
        "workspace_id": actor.workspace_id,
        "owner_id": actor.user_id,
        "name": name,
        "description": description,
        "is_sample": is_sample,
        "created_at": now,
        "updated_at": now,
    }


def _changes(suite_id: UUID, stored: Sequence[Any], cases: Sequence[Case]) -> _Changes:
    """Pairs each wanted case with a stored row of the same content, of the same name where there is a choice."""
    changes, now = _Changes(), clock.now()
    contents = [case_content(case) for case in cases]
    hashes = [content_hash(content) for content in contents]
    kept = _paired(stored, [(digest, case.name) for digest, case in zip(hashes, cases, strict=True)])
    for position, (case, content, digest, row) in enumerate(zip(cases, contents, hashes, kept, strict=True), 1):
        name = storable(case.name, "A case's name")
        changes.ids.append(new_id() if row is None else row.id)
        if row is None:
            new = {"id": changes.ids[-1], "suite_id": suite_id, "position": position, "name": name}
            changes.new.append({**new, "content": content, "content_hash": digest, "created_at": now})
        elif (row.position, row.name) != (position, name):
            changes.moved.append({"id": row.id, "position": position, "name": name})
    staying = {row.id for row in kept if row is not None}
    changes.retired = [row.id for row in stored if row.id not in staying]
    return changes


def _paired(stored: Sequence[Any], wanted: Sequence[tuple[str, str]]) -> list[Any]:
    """For each wanted (hash, name) a stored row that no other got, or None."""
    exact: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in reversed(stored):
        exact[row.content_hash, row.name].append(row)
    found = [exact[key].pop() if exact.get(key) else None for key in wanted]
    renamed: dict[str, list[Any]] = defaultdict(list)
    taken = {row.id for row in found if row is not None}
    for row in reversed(stored):
        if row.id not in taken:
            renamed[row.content_hash].append(row)
    return [
        row if row is not None else renamed[key[0]].pop() if renamed.get(key[0]) else None
        for row, key in zip(found, wanted, strict=True)
    ]


async def _make_hold(session: WriteSession, suite_id: UUID, cases: Sequence[Case]) -> _Changes:
    """Makes the suite hold exactly ``cases``; says what that changed. At most three statements per thousand cases."""
    stored = await session.all(_CASES, {"suite_id": suite_id})
    changes = await asyncio.to_thread(_changes, suite_id, stored, cases)
    await bulk.soft_delete_many(session, m.TestCase, changes.retired, at=clock.now())
    await bulk.update_many(session, m.TestCase, changes.moved)
    await bulk.insert_many(session, m.TestCase, changes.new)
    return changes


async def edit_suite(
    session: WriteSession, actor: Actor, suite_id: UUID, changes: Mapping[str, Any], *, expected: int | None = None
) -> None:
    """Sets name and description. Stale when ``expected`` is not the row's version, Conflict for a name taken."""
    row = await _owned(session, actor, suite_id, expected)
    values = {key: changes[key] for key in _EDITABLE if key in changes}
    if "name" in values:
        values["name"] = checked_name(values["name"])
    if "description" in values:
        values["description"] = checked_description(values["description"])
    try:
        async with session.begin_nested():
            await _set(session, suite_id, values)
    except IntegrityError as error:
        raise _taken(values.get("name", row.name)) from error
    touched(session, actor)
    session.touch(f"evaluations:{actor.workspace_id.hex}")  # they show its name
    told = {"name": values.get("name", row.name), "changed": sorted(values)}
    audit.record(session, actor, "suite_edited", "suite", suite_id, told)


async def replace_cases(
    session: WriteSession, actor: Actor, suite_id: UUID, cases: Sequence[Case], *, expected: int | None = None
) -> StoredSuite:
    """Makes the suite hold exactly ``cases``; as :func:`store_suite`, by id."""
    await _owned(session, actor, suite_id, expected)
    changes = await _make_hold(session, suite_id, cases)
    await _set(session, suite_id, {"case_count": len(cases)})
    touched(session, actor)
    audit.record(session, actor, "suite_cases_replaced", "suite", suite_id, {"cases": len(cases)})
    return StoredSuite(suite_id, changes.ids, cases)


async def edit_case(session: WriteSession, actor: Actor, suite_id: UUID, case_id: UUID, case: Case) -> UUID:
    """Retires the case and puts ``case`` in its place; earlier results keep the one that they were scored on."""
    await _owned(session, actor, suite_id)
    row = await session.first(_CASE, {"case_id": case_id, "suite_id": suite_id})
    if row is None:
        raise NotFound(f"There is no case with the id {case_id} in this suite.")
    content, now, made = case_content(case), clock.now(), new_id()
    new = {"id": made, "suite_id": suite_id, "position": row.position, "name": storable(case.name, "A case's name")}
    await session.execute(_RETIRE_CASE, {"case_id": case_id, "retired_at": now})
    await session.execute(
        insert(m.TestCase), {**new, "content": content, "content_hash": content_hash(content), "created_at": now}
    )
    await _set(session, suite_id, {})
    touched(session, actor)
    audit.record(session, actor, "suite_case_edited", "suite", suite_id, {"case": case.name[:200]})
    return made


async def delete_suite(session: WriteSession, actor: Actor, suite_id: UUID, *, expected: int | None = None) -> None:
    """Soft: runs and their results stay, the name becomes free, and :func:`restore_suite` undoes it."""
    row = await _owned(session, actor, suite_id, expected)
    await _set(session, suite_id, {"deleted_at": clock.now()})
    touched(session, actor)
    audit.record(session, actor, "suite_deleted", "suite", suite_id, {"name": row.name})


async def restore_suite(session: WriteSession, actor: Actor, suite_id: UUID) -> None:
    """Undoes a deletion. Conflict when another suite has taken the name since."""
    row = await _owned(session, actor, suite_id, deleted=True)
    try:
        async with session.begin_nested():
            await _set(session, suite_id, {"deleted_at": None})
    except IntegrityError as error:
        raise _taken(row.name) from error
    touched(session, actor)
    audit.record(session, actor, "suite_restored", "suite", suite_id, {"name": row.name})


async def _owned(
    session: WriteSession, actor: Actor, suite_id: UUID, expected: int | None = None, *, deleted: bool = False
) -> Any:
    row = await session.first(_OWNED, {"suite_id": suite_id, "workspace_id": actor.workspace_id})
    if row is None or (row.deleted_at is not None) != deleted:
        raise NotFound(f"There is no {'deleted ' if deleted else ''}suite with the id {suite_id} in this workspace.")
    Stale.check(expected, row.row_version)
    return row


async def _set(session: WriteSession, suite_id: UUID, values: Mapping[str, Any]) -> None:
    changed = {**values, "updated_at": clock.now(), "row_version": m.Suite.row_version + 1}
    await session.execute(update(m.Suite).where(m.Suite.id == suite_id).values(changed))


def checked_name(name: str) -> str:
    """The name without white space around it. BadInput for none, a long one, and one that cannot be stored."""
    name = storable(name.strip(), "The name")
    if not name or len(name) > LONGEST_NAME:
        raise BadInput.at("/name", f"A suite's name has 1 to {LONGEST_NAME} characters.")
    if not name.isprintable():
        raise BadInput.at("/name", "A suite's name is one line of characters that can be seen.")
    return name


def checked_description(description: str) -> str:
    if len(description) > LONGEST_DESCRIPTION:
        raise BadInput.at("/description", f"A description has at most {LONGEST_DESCRIPTION:,} characters.")
    return storable(description, "The description")


def _taken(name: str) -> Conflict:
    return Conflict(
        f"There is already a suite named {name!r} in this workspace. Choose another name or rename that one."
    )
