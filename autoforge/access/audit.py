"""The audit log: what somebody did, append-only, each entry's hash covering it and the hash before.

Entries are collected while a transaction runs and written at its very end: the chain's head is the last row that the
transaction locks, so two that commit at once wait for each other only then. However many entries there are, they cost
two statements: reading the head, and inserting (a trigger moves the head; others forbid changing or deleting).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, select

from autoforge.access import Actor
from autoforge.db import ReadSession, WriteSession, clock, named
from autoforge.db import models as m
from autoforge.db.types import to_microseconds

FIRST_HASH = bytes(32)

_HEAD = named(
    "audit.head",
    select(m.AuditHead.seq, m.AuditHead.hash).where(m.AuditHead.id == 1).with_for_update(),
    bounded=True,
)
_APPEND = named("audit.append", insert(m.AuditEntry))
_CHAIN = named(
    "audit.chain",
    select(m.AuditEntry.__table__).where(m.AuditEntry.seq > bindparam("after")).order_by(m.AuditEntry.seq),
)


@dataclass(frozen=True, slots=True)
class Broken:
    """Where the chain does not hold, and how."""

    seq: int
    problem: str


@dataclass(frozen=True, slots=True)
class Person:
    """Who did something outside of any workspace: signing in, for example."""

    user_id: UUID
    user_name: str
    workspace_id: UUID | None = None


def record(
    session: WriteSession,
    actor: Actor | Person | None,
    action: str,
    subject_kind: str,
    subject_id: UUID | str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Adds an entry to what this transaction did; ``actor`` is None for the service itself. Never put secrets here."""
    entry = {
        "at": clock.now(),
        "actor_id": actor.user_id if actor else None,
        "actor_name": actor.user_name if actor else "AutoForgeNexus",
        "workspace_id": actor.workspace_id if actor else None,
        "action": action,
        "subject_kind": subject_kind,
        "subject_id": str(subject_id),
        "detail": json.dumps(dict(detail or {}), ensure_ascii=False, sort_keys=True, default=str),
    }
    session.before_commit(_append, entry)


async def _append(session: WriteSession, entries: list[dict[str, Any]]) -> None:
    row = (await session.execute(_HEAD)).one()
    seq, last = row.seq, row.hash
    for entry in entries:
        seq += 1
        last = entry_hash(last, seq, entry)
        entry |= {"seq": seq, "hash": last}
    await session.execute(_APPEND, entries)


def entry_hash(before: bytes, seq: int, entry: Mapping[str, Any]) -> bytes:
    """SHA-256 over the hash before and the entry's canonical JSON."""
    told = [
        seq,
        to_microseconds(entry["at"]),
        *(_text(entry[key]) for key in ("actor_id", "actor_name", "workspace_id")),
    ]
    told += [entry[key] for key in ("action", "subject_kind", "subject_id", "detail")]
    return hashlib.sha256(before + json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()).digest()


def _text(value: Any) -> Any:
    return value.hex if isinstance(value, UUID) else value


async def verify(session: ReadSession, anchor: tuple[int, bytes] | None = None) -> tuple[int, bytes, Broken | None]:
    """Walks the whole chain: how many entries hold, the newest hash (to be anchored elsewhere), and the first fault.

    ``anchor`` is the number and hash of an entry, noted elsewhere: a chain that somebody wrote anew from before it
    does not have them, however well its own hashes agree.
    """
    seq, last, noted = 0, FIRST_HASH, anchor
    async for rows in session.stream(_CHAIN, {"after": 0}):
        for row in rows:
            if row.seq != seq + 1:
                return seq, last, Broken(seq + 1, f"entry {seq + 1} is missing")
            if entry_hash(last, row.seq, dict(row._mapping)) != row.hash:
                return seq, last, Broken(row.seq, f"entry {row.seq} was changed after it was written")
            if noted is not None and noted[0] == row.seq and noted[1] != row.hash:
                return seq, last, Broken(row.seq, f"entry {row.seq} has not the hash that was noted")
            seq, last = row.seq, row.hash
    head = await session.first(select(m.AuditHead.seq, m.AuditHead.hash).where(m.AuditHead.id == 1))
    is_cut = head is None or (head.seq, head.hash) != (seq, last) or (noted is not None and noted[0] > seq)
    return seq, last, Broken(seq + 1, "the newest entries were cut off") if is_cut else None


async def entries(session: ReadSession, after: int = 0) -> AsyncIterator[dict[str, Any]]:
    """All entries after ``after``, oldest first, in constant memory."""
    async for rows in session.stream(_CHAIN, {"after": after}):
        for row in rows:
            yield {**row._mapping, "detail": json.loads(row.detail), "hash": row.hash.hex(), "at": _iso(row.at)}


def _iso(at: datetime) -> str:
    return at.isoformat()
