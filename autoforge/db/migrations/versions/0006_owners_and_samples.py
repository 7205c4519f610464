"""Indexes for what somebody owns, for samples, categories and the latest runs; a version for each workspace."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_OWNED = (
    ("ix_prompts_owner", "prompts", "owner_id"),
    ("ix_templates_owner", "templates", "owner_id"),
    ("ix_suites_owner", "suites", "owner_id"),
    ("ix_evaluations_creator", "evaluations", "created_by"),
)
_SAMPLES = (
    ("ix_prompts_samples", "prompts", ["workspace_id"]),
    ("ix_templates_samples", "templates", ["workspace_id"]),
    ("ix_suites_samples", "suites", ["workspace_id"]),
    ("ix_evaluations_samples", "evaluations", ["workspace_id", "prompt_id"]),
)
_CATEGORIES = (
    ("ix_templates_own_category", ["workspace_id", "visibility", "category", "created_at", "id"]),
    ("ix_templates_visible_category", ["visibility", "category", "created_at", "id"]),
)


def upgrade() -> None:
    version: sa.Column[int] = sa.Column("row_version", sa.Integer(), server_default=sa.text("1"), nullable=False)
    op.add_column("workspaces", version)
    for name, table, owner in _OWNED:
        op.create_index(name, table, [owner, "workspace_id"], unique=False)
    for name, table, columns in _SAMPLES:
        op.create_index(
            name,
            table,
            columns,
            unique=False,
            sqlite_where=sa.text("is_sample = 1 AND deleted_at IS NULL"),
            postgresql_where=sa.text("is_sample AND deleted_at IS NULL"),
        )
    op.create_index(
        "ix_evaluations_completed",
        "evaluations",
        ["prompt_id", "created_at", "id"],
        unique=False,
        sqlite_where=sa.text("deleted_at IS NULL AND status = 'completed'"),
        postgresql_where=sa.text("deleted_at IS NULL AND status = 'completed'"),
    )
    alive = sa.text("deleted_at IS NULL")
    for name, columns in _CATEGORIES:
        op.create_index(name, "templates", columns, unique=False, sqlite_where=alive, postgresql_where=alive)


def downgrade() -> None:
    for name, _ in _CATEGORIES:
        op.drop_index(name, table_name="templates")
    op.drop_index("ix_evaluations_completed", table_name="evaluations")
    for name, table, _ in (*_OWNED, *_SAMPLES):
        op.drop_index(name, table_name=table)
    op.drop_column("workspaces", "row_version")
