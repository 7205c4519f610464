"""Storing checked rows as users: inserted, updated or skipped, each exactly once, and never for lack of another.

A batch is one transaction, together with the import's position: what a crash cut off was not counted, and is done
again. People are told apart by their address. Within a batch the new ones are inserted together in a savepoint; only
when somebody else stored one of them at the same moment (PostgreSQL) are they inserted one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import Row, bindparam, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from autoforge.access import Actor, audit, sessions
from autoforge.access.members import USERS
from autoforge.access.sessions import ACCESS
from autoforge.db import Database, WriteSession, bulk, clock, named
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.errors import BadInput
from autoforge.users.commands import active_admins, is_less
from autoforge.users.import_rows import ROLES, Checked, Draft, Fault, RowReader

BATCH = 1_000
MOST_PROFILE = 20_000
_CANONICAL = msgspec.json.Encoder(order="deterministic")
_LABELS = {"role": "role", "is_active": "access", "name": "name", "profile": "profile"}
T = TypeVar("T")
OnExisting = Literal["skip", "update", "error"]
Outcome = Literal["inserted", "updated", "skipped", "failed"]

_KNOWN = named(
    "users.import_known",
    select(
        m.User.id,
        m.User.email,
        m.User.name,
        m.User.role,
        m.User.is_active,
        m.User.profile,
        m.User.row_version,
        m.Membership.user_id.label("member_id"),
    )
    .outerjoin(
        m.Membership,
        (m.Membership.user_id == m.User.id) & (m.Membership.workspace_id == bindparam("workspace_id")),
    )
    .where(m.User.email.in_(bindparam("emails", expanding=True)), m.User.deleted_at.is_(None))
    # In one order, so that two imports of the same people do not wait for each other in a circle.
    .order_by(m.User.email)
    .with_for_update(of=m.User),
)
# The table grows so fast by an import that the plan of its first batches, a scan of few rows, would ruin later ones.
_PLAN_ANEW = named("users.import_plan", text("SET LOCAL plan_cache_mode = force_custom_plan"))


@dataclass(frozen=True, slots=True)
class Options:
    """``on_existing`` says what happens to a person who is there already; ``dry_run`` stores nothing."""

    on_existing: OnExisting = "skip"
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows came to what: always ``rows == inserted + updated + skipped + failed``."""

    rows: int = 0
    inserted: int = 0
    updated: int = 0
    skipped: int = 0
    failed: int = 0

    def plus(self, results: Sequence[Result]) -> Tally:
        counts = asdict(self)
        for result in results:
            counts[result.outcome] += 1
        return replace(self, **counts | {"rows": self.rows + len(results)})


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one row."""

    checked: Checked
    outcome: Outcome
    user_id: UUID | None = None
    faults: tuple[Fault, ...] = ()


def roles_for(actor: Actor) -> tuple[str, ...]:
    """The roles that an import may give: admins alone make others more than users, here as one by one."""
    return ROLES if actor.role == "admin" else ROLES[:1]


async def run(
    database: Database,
    actor: Actor,
    reader: RowReader,
    options: Options,
    tally: Tally | None = None,
    *,
    label: str = "",
    together: Callable[[WriteSession, Sequence[Result], Tally], Awaitable[object]] | None = None,
) -> AsyncGenerator[tuple[Sequence[Result], Tally], None]:
    """Stores the rows after the ``tally.rows`` that were stored before; gives each batch once it is committed.

    ``together(session, results, tally)`` takes part in each batch's transaction. ``label`` is the import's name in the
    audit log.
    """
    position = tally or Tally()

    async def one(session: WriteSession, batch: list[Checked], before: Tally) -> tuple[Sequence[Result], Tally]:
        results = await store(session, actor, batch, reader, options)
        after = before.plus(results)
        if not options.dry_run:
            note(session, actor, label, results)
        if together is not None:
            await together(session, results, after)
        return results, after

    for passed in range(0, position.rows, BATCH):
        await _whole(_reading(reader.skip, min(BATCH, position.rows - passed)))
    ahead = _reading(reader.batch, BATCH)
    try:
        while batch := await _whole(ahead):
            ahead = _reading(reader.batch, BATCH)  # while these are stored
            results, position = await database.transact(one, batch, position)
            yield results, position
    finally:
        with suppress(Exception):
            await _whole(ahead)


def _reading(read: Callable[[int], T], rows: int) -> asyncio.Task[T]:
    return asyncio.create_task(asyncio.to_thread(read, rows))


async def _whole(work: asyncio.Task[T]) -> T:
    """Its result; also when we are cancelled it is over afterwards, so that nobody closes what a thread still reads."""
    try:
        return await asyncio.shield(work)
    finally:
        await asyncio.wait({work})


def note(session: WriteSession, actor: Actor, label: str, results: Sequence[Result]) -> None:
    """One entry for the batch; what changed of people who were there has been told one by one."""
    told = asdict(Tally().plus(results))
    if told["inserted"] or told["updated"]:
        lines = {"from_line": results[0].checked.line, "to_line": results[-1].checked.line}
        audit.record(session, actor, "users_imported", "import", label, told | lines)


async def store(
    session: WriteSession, actor: Actor, batch: Sequence[Checked], reader: RowReader, options: Options
) -> list[Result]:
    """What becomes of each row, in order; stored unless it is a dry run. The caller owns the transaction."""
    work = _Batch(session, actor, options, {target: one.column for target, one in reader.mapping.fields.items()})
    drafts = [one.draft for one in batch if one.draft is not None]
    known = await work.known([draft.email for draft in drafts])
    new = [draft for draft in drafts if draft.email not in known]
    inserted = await work.insert(new, known)
    results = []
    for one in batch:
        if one.draft is None:
            results.append(Result(one, "failed", None, one.faults))
        elif one.draft.email in inserted:
            results.append(Result(one, "inserted", None if options.dry_run else inserted[one.draft.email]))
        else:
            results.append(await work.existing(one, known[one.draft.email]))
    await work.update()
    return results


class _Batch:
    """What one transaction does."""

    def __init__(self, session: WriteSession, actor: Actor, options: Options, columns: Mapping[str, str]) -> None:
        self._session, self._actor, self._options, self._columns = session, actor, options, columns
        self._changes: list[dict[str, Any]] = []
        self._join: list[UUID] = []
        self._leaving: list[UUID] = []
        self._demoted: list[UUID] = []
        self._admins: set[UUID] | None = None
        self._now = clock.now()

    async def known(self, emails: Sequence[str]) -> dict[str, Row[Any]]:
        if not emails:
            return {}
        if self._session.dialect == "postgresql":
            await self._session.execute(_PLAN_ANEW)
        asked = {"emails": list(emails), "workspace_id": self._actor.workspace_id}
        rows: Sequence[Row[Any]] = await self._session.all(_KNOWN, asked)
        return {row.email: row for row in rows}

    # --- new people -----------------------------------------------------------------------------------------------

    async def insert(self, drafts: Sequence[Draft], known: dict[str, Row[Any]]) -> dict[str, UUID]:
        """Ids by address. Whoever turns out to be stored by now is added to ``known`` instead."""
        if not drafts:
            return {}
        rows = [self._row(draft) for draft in drafts]
        if not self._options.dry_run:
            try:
                async with self._session.begin_nested():
                    await self._insert(rows)
            except IntegrityError:
                rows = [row for row in rows if await self._insert_alone(row, known)]
            self._session.touch(USERS)
        return {row["email"]: row["id"] for row in rows}

    async def _insert_alone(self, row: dict[str, Any], known: dict[str, Row[Any]]) -> bool:
        try:
            async with self._session.begin_nested():
                await self._insert([row])
        except IntegrityError:
            found = await self.known([row["email"]])
            if not found:
                raise
            known |= found
            return False
        return True

    async def _insert(self, rows: Sequence[dict[str, Any]]) -> None:
        await bulk.insert_many(self._session, m.User, rows)
        await bulk.insert_many(self._session, m.Membership, (self._membership(row["id"], row["role"]) for row in rows))
        for row in rows:
            if row["role"] != "user":
                self._tell("user_created", row["id"], {"email": row["email"], "role": row["role"]})

    def _row(self, draft: Draft) -> dict[str, Any]:
        return {
            "id": new_id(),
            "email": draft.email,
            "name": draft.name or draft.email.partition("@")[0],
            "role": draft.role or "user",
            "is_active": draft.is_active is not False,
            "profile": _profile(draft.profile),
            "created_at": self._now,
            "updated_at": self._now,
        }

    def _membership(self, user_id: UUID, role: str) -> dict[str, Any]:
        place = {"workspace_id": self._actor.workspace_id, "user_id": user_id, "created_at": self._now}
        return place | {"role": "member" if role == "user" else "manager"}

    # --- people who are there already -----------------------------------------------------------------------------

    async def existing(self, checked: Checked, row: Row[Any]) -> Result:
        """Decides about one; what is to be changed is collected for :meth:`update`."""
        draft = checked.draft
        assert draft is not None
        if self._options.on_existing == "skip":
            return Result(checked, "skipped", row.id)
        if self._options.on_existing == "error":
            return self._refused(checked, "email", f"{draft.email} is a user already.")
        wanted = self._wanted(draft, row)
        changed = {name for name, value in wanted.items() if value != getattr(row, name)}
        if (fault := await self._fault(row, wanted, changed)) is not None:
            return self._refused(checked, *fault)
        if row.member_id is None:
            self._join.append(row.id)
            self._tell("member_added", row.id, {"email": row.email, "role": "member"})
        elif not changed:
            return Result(checked, "skipped", row.id)
        self._collect(row, wanted, changed)
        return Result(checked, "updated", row.id)

    def _refused(self, checked: Checked, target: str, message: str) -> Result:
        return Result(checked, "failed", None, (Fault(self._columns.get(target, ""), message),))

    def _wanted(self, draft: Draft, row: Row[Any]) -> dict[str, Any]:
        profile = row.profile
        if draft.profile:
            profile = _profile({**msgspec.json.decode(row.profile), **draft.profile})
        return {
            "name": draft.name or row.name,
            "role": draft.role or row.role,
            "is_active": row.is_active if draft.is_active is None else draft.is_active,
            "profile": profile,
        }

    async def _fault(self, row: Row[Any], wanted: Mapping[str, Any], changed: set[str]) -> tuple[str, str] | None:
        """Why this person may not be changed so: the field and a sentence."""
        if changed and self._actor.role != "admin":
            # People belong to the server: whoever may change one here could change everybody, of all workspaces.
            what = next(name for name in _LABELS if name in changed)
            return what, f"{row.email} is a user already, and only an admin may change their {_LABELS[what]}."
        if len(wanted["profile"]) > MOST_PROFILE:
            return "email", "The profile would become too long."
        if row.role == "admin" and row.is_active and not (wanted["role"] == "admin" and wanted["is_active"]):
            admins = await self._active_admins()
            if len(admins) <= 1:
                return next(iter(changed & {"role"}), "is_active"), "This is the last admin, and one has to stay."
            admins.discard(row.id)
        return None

    async def _active_admins(self) -> set[UUID]:
        if self._admins is None:
            self._admins = await active_admins(self._session)
        return self._admins

    def _collect(self, row: Row[Any], wanted: dict[str, Any], changed: set[str]) -> None:
        if not changed:
            return
        version = {"row_version": row.row_version + 1, "updated_at": self._now}
        self._changes.append({"id": row.id, **wanted, **version})
        told: dict[str, Any] = {
            name: [getattr(row, name), wanted[name]] for name in ("name", "role") if name in changed
        }
        told |= {"profile": "changed"} if "profile" in changed else {}
        if told:
            self._tell("user_edited", row.id, told)
        if "is_active" in changed:
            self._tell("user_activated" if wanted["is_active"] else "user_deactivated", row.id, {})
        if row.is_active and not wanted["is_active"]:
            self._leaving.append(row.id)
        elif is_less(wanted["role"], row.role):
            self._demoted.append(row.id)

    async def update(self) -> None:
        """Stores what :meth:`existing` collected."""
        if self._options.dry_run or not (self._changes or self._join):
            return
        await bulk.update_many(self._session, m.User, self._changes)
        if self._join:
            make: Any = sqlite.insert if self._session.dialect == "sqlite" else postgresql.insert
            rows = [self._membership(user_id, "user") for user_id in self._join]
            await self._session.execute(make(m.Membership).on_conflict_do_nothing(), rows)
        if self._leaving:
            await sessions.shut_out(self._session, self._leaving)
        if self._demoted:
            await sessions.end_links_by(self._session, self._demoted)
        self._session.touch(USERS, ACCESS)

    def _tell(self, action: str, user_id: UUID, detail: dict[str, Any]) -> None:
        if not self._options.dry_run:
            audit.record(self._session, self._actor, action, "user", user_id, {**detail, "by": "import"})


def _profile(profile: Mapping[str, Any]) -> str:
    return _CANONICAL.encode(profile).decode()


def options_of(on_existing: str, dry_run: bool) -> Options:
    """BadInput for another word than skip, update or error."""
    if on_existing not in ("skip", "update", "error"):
        raise BadInput.at("?on_existing", f"{on_existing[:50]!r} is not one of skip, update and error.")
    return Options(on_existing, dry_run)  # type: ignore[arg-type]
