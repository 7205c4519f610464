"""Suites of test cases, evaluations of prompt versions, and one test result per case.

A test case is immutable: editing one retires the row and writes another, so that a result always shows the case it
was scored on. An evaluation is one prompt version (or none: outputs from elsewhere) x one model x the cases of a
suite; evaluations started together share a ``batch_id``.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Float, ForeignKey, Index, Integer, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from autoforge.db.models.base import Base
from autoforge.db.models.prompts import live, samples
from autoforge.db.types import Id, Instant, SortableText


class Suite(Base):
    """A named set of test cases. ``case_count`` counts the cases that are not retired."""

    __tablename__ = "suites"
    __table_args__ = (
        live("uq_suites_workspace_name", "workspace_id", "name", unique=True),
        live("ix_suites_workspace_created", "workspace_id", "created_at", "id"),
        samples("ix_suites_samples"),
        Index("ix_suites_owner", "owner_id", "workspace_id"),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(Id, ForeignKey("workspaces.id"))
    owner_id: Mapped[UUID] = mapped_column(Id, ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(SortableText)
    description: Mapped[str] = mapped_column(Text, server_default=text("''"))
    case_count: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    is_sample: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_at: Mapped[datetime] = mapped_column(Instant)
    row_version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    deleted_at: Mapped[datetime | None] = mapped_column(Instant)


class TestCase(Base):
    """One case: ``content`` is its canonical JSON (variables, expected, assertions), hashed in ``content_hash``."""

    __tablename__ = "test_cases"
    __table_args__ = (live("ix_test_cases_suite_position", "suite_id", "position", "id"),)
    __test__ = False  # the name looks like a test to pytest

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    suite_id: Mapped[UUID] = mapped_column(Id, ForeignKey("suites.id"))
    position: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(Text)
    content: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[str] = mapped_column(SortableText)
    created_at: Mapped[datetime] = mapped_column(Instant)
    deleted_at: Mapped[datetime | None] = mapped_column(Instant)


def _completed(name: str, *columns: str) -> Index:
    """An index over the runs that count for the score of a prompt."""
    counts = text("deleted_at IS NULL AND status = 'completed'")
    return Index(name, *columns, sqlite_where=counts, postgresql_where=counts)


class Evaluation(Base):
    """One run. ``status`` is pending, running, completed, failed or cancelled; ``source`` recorded or live.

    ``score`` is the mean over all cases (an error scores 0); ``cases`` = ``passed`` + ``failed`` + ``errors``.
    """

    __tablename__ = "evaluations"
    __table_args__ = (
        live("ix_evaluations_workspace_created", "workspace_id", "created_at", "id"),
        live("ix_evaluations_prompt_created", "prompt_id", "created_at", "id"),
        live("ix_evaluations_suite_created", "suite_id", "created_at", "id"),
        samples("ix_evaluations_samples", "prompt_id"),
        Index("ix_evaluations_creator", "created_by", "workspace_id"),
        Index("ix_evaluations_batch", "batch_id"),
        _completed("ix_evaluations_scored", "prompt_id", "score"),
        _completed("ix_evaluations_completed", "prompt_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(Id, ForeignKey("workspaces.id"))
    prompt_id: Mapped[UUID | None] = mapped_column(Id, ForeignKey("prompts.id"))
    version_id: Mapped[UUID | None] = mapped_column(Id, ForeignKey("prompt_versions.id"))
    suite_id: Mapped[UUID | None] = mapped_column(Id, ForeignKey("suites.id"))
    batch_id: Mapped[UUID] = mapped_column(Id)
    name: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text, server_default=text("'recorded'"))
    status: Mapped[str] = mapped_column(SortableText)
    provider: Mapped[str] = mapped_column(Text, server_default=text("''"))
    model: Mapped[str] = mapped_column(Text)
    score: Mapped[float | None] = mapped_column(Float)
    cases: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    passed: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    failed: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    errors: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    latency_ms: Mapped[float | None] = mapped_column(Float)
    tokens_in: Mapped[int | None] = mapped_column(BigInteger)
    tokens_out: Mapped[int | None] = mapped_column(BigInteger)
    cost_nano: Mapped[int | None] = mapped_column(BigInteger)
    problem: Mapped[str | None] = mapped_column(Text)
    is_sample: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    created_by: Mapped[UUID] = mapped_column(Id, ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(Instant)
    completed_at: Mapped[datetime | None] = mapped_column(Instant)
    row_version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    deleted_at: Mapped[datetime | None] = mapped_column(Instant)


class TestResult(Base):
    """How one case came out. ``outcome`` is 0 error, 1 fail, 2 pass, so that ascending order shows problems first.

    ``assertions`` is a JSON list of {type, metric, outcome, score, reason}; latency in milliseconds.
    """

    __tablename__ = "test_results"
    __table_args__ = (
        Index("ix_test_results_outcome", "evaluation_id", "outcome", "position"),
        Index("ix_test_results_score", "evaluation_id", "score", "position"),
        Index("ix_test_results_case", "case_id", "evaluation_id"),
    )
    __test__ = False  # the name looks like a test to pytest

    evaluation_id: Mapped[UUID] = mapped_column(Id, ForeignKey("evaluations.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    case_id: Mapped[UUID | None] = mapped_column(Id, ForeignKey("test_cases.id"))
    case_name: Mapped[str] = mapped_column(Text)
    outcome: Mapped[int] = mapped_column(SmallInteger)
    score: Mapped[float] = mapped_column(Float)
    reason: Mapped[str] = mapped_column(Text)
    output: Mapped[str] = mapped_column(Text)
    assertions: Mapped[str] = mapped_column(Text)
    latency_ms: Mapped[float | None] = mapped_column(Float)
    tokens_in: Mapped[int | None] = mapped_column(BigInteger)
    tokens_out: Mapped[int | None] = mapped_column(BigInteger)
    cost_nano: Mapped[int | None] = mapped_column(BigInteger)
    finish_reason: Mapped[str | None] = mapped_column(Text)
