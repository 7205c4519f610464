"""What an import changes, worked out without touching the database: records in, rows to insert and update out.

A prompt that does not exist is stored whole, with the numbers that its record has. One that exists is only added to:
versions whose content it has are found again by their hash, others are appended (under their own number when that is
beyond the newest, else under the next free one), and a head moves only to a version that is new, or when it was not
there. So an import never takes back what happened here since, and the same file twice changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from autoforge.access import Actor
from autoforge.db import search
from autoforge.db.ids import new_id
from autoforge.prompts.commands import MAIN, Created, head_row, move_row
from autoforge.prompts.content import canonical_json, hash_of, searchable_text
from autoforge.prompts.formats.records import PromptRecord, VersionRecord
from autoforge.prompts.names import folder_of

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ready:
    """A record with the hash and the canonical JSON of each of its versions."""

    record: PromptRecord
    texts: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, record: PromptRecord) -> Ready:
        texts = [canonical_json(version.content) for version in record.versions]
        return cls(record, tuple((hash_of(text), text) for text in texts))

    @property
    def size(self) -> int:
        """Characters, about."""
        return sum(len(text) for _, text in self.texts)


@dataclass(slots=True)
class Stored:
    """A prompt as the database has it; ``heads`` map (kind, name) to the version's id and the head's row version."""

    prompt_id: UUID
    name: str
    title: str
    description: str
    latest: int
    row_version: int
    versions: dict[str, UUID] = field(default_factory=dict)
    heads: dict[tuple[str, str], tuple[UUID, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Changes:
    """The rows of one batch, by what happens to them; ``documents`` go into the search index."""

    prompts: list[Row] = field(default_factory=list)
    extended: list[Row] = field(default_factory=list)
    versions: list[Row] = field(default_factory=list)
    lineage: list[Row] = field(default_factory=list)
    heads: list[Row] = field(default_factory=list)
    moved: list[Row] = field(default_factory=list)
    moves: list[Row] = field(default_factory=list)
    documents: list[tuple[UUID, str]] = field(default_factory=list)
    unchanged: int = 0


def plan(actor: Actor, batch: Sequence[Ready], known: Mapping[str, Stored], now: datetime) -> Changes:
    """What storing ``batch`` (of different names) means, given the prompts of these names that exist."""
    changes = Changes()
    for ready in batch:
        stored = known.get(ready.record.name)
        if stored is None:
            _create(changes, actor, ready, now)
        else:
            _extend(changes, actor, ready, stored, now)
    return changes


def _create(changes: Changes, actor: Actor, ready: Ready, now: datetime) -> None:
    record = ready.record
    stored = Stored(new_id(), record.name, record.title, record.description, 0, 1)
    written = _Writing(changes, actor, stored, now)
    written.versions(ready)
    written.heads(record)
    changes.prompts.append(
        {
            "id": stored.prompt_id,
            "workspace_id": actor.workspace_id,
            "owner_id": actor.user_id,
            "name": record.name,
            "folder": folder_of(record.name),
            "title": record.title,
            "description": record.description,
            "status": record.status,
            "tags": json.dumps(list(record.tags), ensure_ascii=False) if record.tags else "[]",
            "latest_number": stored.latest,
            "created_at": record.versions[0].created_at or now,
            "updated_at": now,
        }
    )
    _index(changes, actor, stored, record)


def _extend(changes: Changes, actor: Actor, ready: Ready, stored: Stored, now: datetime) -> None:
    written = _Writing(changes, actor, stored, now)
    written.versions(ready)
    moved = written.heads(ready.record)
    if not moved and not written.new:
        changes.unchanged += 1
        return
    row = {"id": stored.prompt_id, "latest_number": stored.latest, "updated_at": now, "is_sample": False}
    changes.extended.append(row | {"row_version": stored.row_version + 1})
    if ("branch", MAIN) in moved:
        _index(changes, actor, stored, ready.record)


def _index(changes: Changes, actor: Actor, stored: Stored, record: PromptRecord) -> None:
    words = searchable_text(record.current.content)
    document = search.document(actor.workspace_id, stored.name, stored.title, stored.description, words)
    changes.documents.append((stored.prompt_id, document))


class _Writing:
    """One record on its way into one prompt."""

    def __init__(self, changes: Changes, actor: Actor, stored: Stored, now: datetime) -> None:
        self._changes, self._actor, self._stored, self._now = changes, actor, stored, now
        self._ids: dict[int, UUID] = {}
        self._is_fresh = not stored.heads
        self.new: set[UUID] = set()

    def versions(self, ready: Ready) -> None:
        """Notes the versions whose content is new, with their parents; equal contents are one version."""
        for version, (digest, text) in zip(ready.record.versions, ready.texts, strict=True):
            known = self._stored.versions.get(digest)
            if known is None:
                known = self._stored.versions[digest] = self._append(version, digest, text)
            self._ids[version.number] = known

    def _append(self, version: VersionRecord, digest: str, text: str) -> UUID:
        stored, key = self._stored, new_id()
        stored.latest = max(stored.latest + 1, version.number)
        self._changes.versions.append(
            {
                "id": key,
                "prompt_id": stored.prompt_id,
                "number": stored.latest,
                "content_hash": digest,
                "content": text,
                "message": version.message,
                "author_id": self._actor.user_id,
                "created_at": version.created_at or self._now,
            }
        )
        for at, parent in enumerate(self._parents(version)):
            self._changes.lineage.append({"version_id": key, "position": at, "parent_id": parent})
        self.new.add(key)
        return key

    def _parents(self, version: VersionRecord) -> Sequence[UUID]:
        """Those of the record; a beginning comes from what an existing prompt has at ``main``."""
        if version.parents:
            return list(dict.fromkeys(self._ids[number] for number in version.parents))
        main = self._stored.heads.get(("branch", MAIN))
        return () if main is None else (main[0],)

    def heads(self, record: PromptRecord) -> set[tuple[str, str]]:
        """Notes the heads that are made or move, and returns them."""
        wanted = {("branch", name): number for name, number in record.branches.items()}
        wanted["branch", MAIN] = record.current.number
        for name, number in record.labels.items():
            wanted["label", name] = number
        return {head for head, number in wanted.items() if self._move(*head, self._ids[number])}

    def _move(self, kind: str, name: str, version_id: UUID) -> bool:
        came_from, row_version = self._stored.heads.get((kind, name), (None, 0))
        if came_from is not None and version_id not in self.new:
            return False
        to = Created(self._stored.prompt_id, version_id)
        row = head_row(self._actor, to, kind, name)
        if came_from is None:
            self._changes.heads.append(row)
        else:
            self._changes.moved.append({**row, "row_version": row_version + 1})
        if not self._is_fresh:  # where the heads of a new prompt are from the beginning is no move
            self._changes.moves.append(move_row(self._actor, to, kind, name, came_from))
        self._stored.heads[kind, name] = version_id, row_version + 1
        return True
