"""Who there is: workspaces, the people in them, and who belongs where."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, Computed, ForeignKey, Index, Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from autoforge.db.models.base import Base
from autoforge.db.types import Id, Instant, SortableText


def _alive(name: str, *columns: str, unique: bool = False, also: str = "") -> Index:
    """A partial index that leaves deleted people out."""
    where = text(f"deleted_at IS NULL AND {also}" if also else "deleted_at IS NULL")
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


class Workspace(Base):
    """Everything that people make belongs to one. ``kind`` is ``personal`` or ``team``."""

    __tablename__ = "workspaces"

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    slug: Mapped[str] = mapped_column(SortableText, unique=True)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text, server_default=text("'team'"))
    samples_state: Mapped[str] = mapped_column(Text, server_default=text("'none'"))
    created_at: Mapped[datetime] = mapped_column(Instant)
    deleted_at: Mapped[datetime | None] = mapped_column(Instant)
    row_version: Mapped[int] = mapped_column(Integer, server_default=text("1"))


class User(Base):
    """A person. ``role`` is ``admin``, ``manager`` or ``user``; ``email`` is stored in lower case.

    ``name_key`` is the name in lower case, kept by the database: lists are sorted by it and prefixes looked up in it.
    ``came_at`` is the last sign-in, or the beginning for who never did: the clean-up looks for long absences by it.
    """

    __tablename__ = "users"
    __table_args__ = (
        _alive("uq_users_email", "email", unique=True),
        _alive("ix_users_created", "created_at", "id"),
        _alive("ix_users_name", "name_key", "id"),
        _alive("ix_users_role_created", "role", "created_at", "id"),
        _alive("ix_users_role_name", "role", "name_key", "id"),
        _alive("ix_users_inactive", "created_at", "id", also="NOT is_active"),
        _alive("ix_users_came", "came_at", "id"),
        Index(
            "ix_users_removed",
            "deleted_at",
            "id",
            sqlite_where=text("deleted_at IS NOT NULL"),
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
        Index(
            "ix_users_deleted",
            "created_at",
            "id",
            sqlite_where=text("deleted_at IS NOT NULL"),
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    email: Mapped[str] = mapped_column(SortableText)
    name: Mapped[str] = mapped_column(Text)
    name_key: Mapped[str] = mapped_column(SortableText, Computed("lower(name)"))
    role: Mapped[str] = mapped_column(Text, server_default=text("'user'"))
    is_active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    profile: Mapped[str] = mapped_column(Text, server_default=text("'{}'"))
    password_hash: Mapped[str | None] = mapped_column(Text)
    last_login_at: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)
    came_at: Mapped[datetime] = mapped_column(Instant, Computed("coalesce(last_login_at, created_at)"))
    updated_at: Mapped[datetime] = mapped_column(Instant)
    row_version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    deleted_at: Mapped[datetime | None] = mapped_column(Instant)


class Membership(Base):
    """A person's place in a workspace; ``role`` is ``manager`` or ``member``."""

    __tablename__ = "memberships"
    __table_args__ = (
        Index("ix_memberships_user_id", "user_id", "workspace_id"),
        Index("ix_memberships_joined", "workspace_id", "created_at", "user_id"),
    )

    workspace_id: Mapped[UUID] = mapped_column(Id, ForeignKey("workspaces.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Id, ForeignKey("users.id"), primary_key=True)
    role: Mapped[str] = mapped_column(Text, server_default=text("'member'"))
    created_at: Mapped[datetime] = mapped_column(Instant)
