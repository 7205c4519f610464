"""Prompts, their immutable versions, the lineage between versions, and the heads that move over them.

A version's content never changes; ``content_hash`` is unique per prompt, so the same content is never stored twice.
Branches and labels are rows of one table, :class:`PromptHead`: a name that points at a version and can be moved.
Every move is kept in :class:`PromptHeadMove`. Parents are rows of the append-only :class:`PromptLineage`; a version
with two parents is a merge.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Float, ForeignKey, Index, Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from autoforge.db.models.base import Base
from autoforge.db.types import Id, Instant, SortableText


def live(name: str, *columns: str, unique: bool = False) -> Index:
    """An index over the rows that are not soft-deleted, which is all that lists ever read."""
    alive = text("deleted_at IS NULL")
    return Index(name, *columns, unique=unique, sqlite_where=alive, postgresql_where=alive)


def samples(name: str, *columns: str) -> Index:
    """An index over the few rows that are still as the product brought them along."""
    untouched = "is_sample{} AND deleted_at IS NULL"
    on_sqlite, on_postgresql = text(untouched.format(" = 1")), text(untouched.format(""))
    return Index(name, "workspace_id", *columns, sqlite_where=on_sqlite, postgresql_where=on_postgresql)


class Prompt(Base):
    """The named thing that versions belong to. ``seq`` is the explicit integer key that the search index needs.

    ``folder`` is the name up to its last slash, slash included ("" at the top), so that an index can step from folder
    to folder without looking at what is in them (prompts/folder_queries.py).
    """

    __tablename__ = "prompts"
    __table_args__ = (
        live("uq_prompts_workspace_name", "workspace_id", "name", unique=True),
        live("ix_prompts_workspace_created", "workspace_id", "created_at", "id"),
        live("ix_prompts_workspace_updated", "workspace_id", "updated_at", "id"),
        live("ix_prompts_workspace_status_created", "workspace_id", "status", "created_at", "id"),
        live("ix_prompts_owner_created", "workspace_id", "owner_id", "created_at", "id"),
        live("ix_prompts_workspace_folder", "workspace_id", "folder"),
        samples("ix_prompts_samples"),
        Index("ix_prompts_owner", "owner_id", "workspace_id"),
        Index(
            "ix_prompts_deleted",
            "workspace_id",
            "deleted_at",
            "id",
            sqlite_where=text("deleted_at IS NOT NULL"),
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
    )

    seq: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(Id, unique=True)
    workspace_id: Mapped[UUID] = mapped_column(Id, ForeignKey("workspaces.id"))
    owner_id: Mapped[UUID] = mapped_column(Id, ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(SortableText)
    folder: Mapped[str] = mapped_column(SortableText, server_default=text("''"))
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text, server_default=text("''"))
    status: Mapped[str] = mapped_column(Text, server_default=text("'draft'"))
    tags: Mapped[str] = mapped_column(Text, server_default=text("'[]'"))
    is_sample: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    latest_number: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)
    row_version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    deleted_at: Mapped[datetime | None] = mapped_column(Instant)


class PromptVersion(Base):
    """One immutable content. ``content`` is canonical JSON; ``content_hash`` carries its scheme as a prefix."""

    __tablename__ = "prompt_versions"
    __table_args__ = (
        Index("uq_prompt_versions_number", "prompt_id", "number", unique=True),
        Index("uq_prompt_versions_content", "prompt_id", "content_hash", unique=True),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    prompt_id: Mapped[UUID] = mapped_column(Id, ForeignKey("prompts.id"))
    number: Mapped[int] = mapped_column(Integer)
    content_hash: Mapped[str] = mapped_column(SortableText)
    content: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text, server_default=text("''"))
    author_id: Mapped[UUID] = mapped_column(Id, ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(Instant)


class PromptLineage(Base):
    """Append-only: ``parent_id`` is the version that ``version_id`` came from; ``position`` orders several parents."""

    __tablename__ = "prompt_lineage"
    __table_args__ = (Index("ix_prompt_lineage_parent", "parent_id", "version_id"),)

    version_id: Mapped[UUID] = mapped_column(Id, ForeignKey("prompt_versions.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    parent_id: Mapped[UUID] = mapped_column(Id, ForeignKey("prompt_versions.id"))


class PromptHead(Base):
    """A name that points at one version: ``kind`` is ``branch`` or ``label``. Every prompt has the branch ``main``."""

    __tablename__ = "prompt_heads"
    __table_args__ = (Index("ix_prompt_heads_version", "version_id"),)

    prompt_id: Mapped[UUID] = mapped_column(Id, ForeignKey("prompts.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(SortableText, primary_key=True)
    name: Mapped[str] = mapped_column(SortableText, primary_key=True)
    version_id: Mapped[UUID] = mapped_column(Id, ForeignKey("prompt_versions.id"))
    row_version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    updated_at: Mapped[datetime] = mapped_column(Instant)
    updated_by: Mapped[UUID] = mapped_column(Id, ForeignKey("users.id"))


class PromptHeadMove(Base):
    """Append-only: where a head was and went; a null side means that it was made or removed."""

    __tablename__ = "prompt_head_moves"
    __table_args__ = (Index("ix_prompt_head_moves_prompt", "prompt_id", "moved_at", "id"),)

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    prompt_id: Mapped[UUID] = mapped_column(Id, ForeignKey("prompts.id"))
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    from_version_id: Mapped[UUID | None] = mapped_column(Id, ForeignKey("prompt_versions.id"))
    to_version_id: Mapped[UUID | None] = mapped_column(Id, ForeignKey("prompt_versions.id"))
    moved_by: Mapped[UUID] = mapped_column(Id, ForeignKey("users.id"))
    moved_at: Mapped[datetime] = mapped_column(Instant)


class Template(Base):
    """A content to start from. ``visibility`` is ``private`` (the workspace) or ``public`` (everybody)."""

    __tablename__ = "templates"
    __table_args__ = (
        live("uq_templates_workspace_name", "workspace_id", "name", unique=True),
        live("ix_templates_own_created", "workspace_id", "visibility", "created_at", "id"),
        live("ix_templates_own_usage", "workspace_id", "visibility", "usage_count", "id"),
        live("ix_templates_visible_created", "visibility", "created_at", "id"),
        live("ix_templates_visible_usage", "visibility", "usage_count", "id"),
        live("ix_templates_own_category", "workspace_id", "visibility", "category", "created_at", "id"),
        live("ix_templates_visible_category", "visibility", "category", "created_at", "id"),
        samples("ix_templates_samples"),
        Index("ix_templates_owner", "owner_id", "workspace_id"),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(Id, ForeignKey("workspaces.id"))
    owner_id: Mapped[UUID] = mapped_column(Id, ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(SortableText)
    description: Mapped[str] = mapped_column(Text, server_default=text("''"))
    category: Mapped[str] = mapped_column(SortableText, server_default=text("''"))
    visibility: Mapped[str] = mapped_column(SortableText, server_default=text("'private'"))
    content: Mapped[str] = mapped_column(Text)
    usage_count: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    is_sample: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)
    row_version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    deleted_at: Mapped[datetime | None] = mapped_column(Instant)


class PromptScore(Base):
    """Roll-up behind the A5 analysis, recomputed from the evaluations in the transaction that changes them."""

    __tablename__ = "prompt_scores"
    __table_args__ = (
        Index(
            "ix_prompt_scores_best",
            "workspace_id",
            "average",
            "prompt_id",
            sqlite_where=text("evaluations > 5"),
            postgresql_where=text("evaluations > 5"),
        ),
    )

    prompt_id: Mapped[UUID] = mapped_column(Id, ForeignKey("prompts.id"), primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(Id, ForeignKey("workspaces.id"))
    evaluations: Mapped[int] = mapped_column(Integer)
    average: Mapped[float] = mapped_column(Float)
