"""``NAME@label``, ``NAME@3``: the stored version that made some outputs."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from autoforge.access import Actor
from autoforge.db import ReadSession
from autoforge.errors import BadInput
from autoforge.prompts import version_queries
from autoforge.prompts.names import parse_reference


class Maker(NamedTuple):
    """The version that made some outputs; both None when nobody said."""

    prompt_id: UUID | None = None
    version_id: UUID | None = None


async def referenced_version(session: ReadSession, actor: Actor, reference: str | None, *, at: str) -> Maker:
    """The version that the reference means, none for no reference. BadInput at ``at`` when there is no such version."""
    if not reference:
        return Maker()
    row = await version_queries.referenced(session, actor.workspace_id, parse_reference(reference, at=at))
    if row is None:
        raise BadInput.at(at, f"There is no prompt {reference!r} in this workspace.")
    return Maker(row["prompt_id"], row["version_id"])
