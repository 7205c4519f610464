"""How the service was, as far as it has to be known later: the counts that its levels are judged by."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, Integer
from sqlalchemy.orm import Mapped, mapped_column

from autoforge.db.models.base import Base
from autoforge.db.types import Instant, SortableText
from autoforge.telemetry.levels import BOUNDS

BUCKETS = (*(f"ms_{bound}" for bound in BOUNDS), "ms_more")
"""Columns of :class:`ServiceLevel`: requests that did not fail, by how long they took."""


class ServiceLevel(Base):
    """Requests of one kind in one minute or hour (``span``: 60 or 3600 seconds), all processes and hosts together.

    The columns :data:`BUCKETS` follow those below. See :mod:`autoforge.telemetry.levels` for what is counted.
    """

    __tablename__ = "service_levels"

    span: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    starts_at: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    kind: Mapped[str] = mapped_column(SortableText, primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)


for _name in BUCKETS:
    setattr(ServiceLevel, _name, Column(_name, BigInteger, nullable=False))
