"""What the service levels are judged by: requests by minute and by hour."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from autoforge.db import types

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BOUNDS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1_000, 2_000, 5_000, "more")


def upgrade() -> None:
    counted = ("requests", "failed", *(f"ms_{bound}" for bound in _BOUNDS))
    op.create_table(
        "service_levels",
        sa.Column("span", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("starts_at", types.Instant(), nullable=False),
        sa.Column("kind", types.SortableText(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in counted),
        sa.PrimaryKeyConstraint("span", "starts_at", "kind", name=op.f("pk_service_levels")),
    )


def downgrade() -> None:
    op.drop_table("service_levels")
