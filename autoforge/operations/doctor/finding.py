"""What the doctor says: a finding, and the report of a review."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

SHOWN = 10
"""Examples that a finding shows of the rows that it is about."""

_IDS = """
migration-none migration-behind migration-ahead migration-unknown schema-drift
index-dropped index-missing index-unused index-duplicate index-invalid index-differs index-unexpected trigger-unexpected
plan-full-scan plan-temporary-sort n-plus-one statement-slow
pool-tiny pool-exceeds-server writer-queue
cache-hit-rate cache-evicts cache-huge cache-url-missing redis-unreachable redis-noeviction redis-unbounded
sqlite-old sqlite-synchronous sqlite-journal-mode sqlite-mmap
postgresql-fsync postgresql-full-page-writes postgresql-synchronous-commit
disk-space-low disk-fills disk-slow secret-readable data-readable data-writable clock-skew
rate-limit-off secret-unset sign-in-off log-level-debug statement-timeout-long body-size-huge
table-bloated statistics-stale file-fragmented wal-huge
database-corrupt foreign-key-broken head-foreign-version head-missing version-content-changed
case-content-changed lineage-foreign-parent lineage-cycle evaluation-foreign
total-versions total-cases total-evaluation total-prompt-score total-folder
audit-chain-broken audit-unguarded search-index-gap search-index-orphans
job-dead job-lease-expired job-waiting
"""
IDS = frozenset(_IDS.split())
"""Every finding that there is. Each has its lines in docs/doctor.md; an id is never used for anything else."""


class Severity(Enum):
    """By harm. critical: data is lost or wrong, or will be; high: it fails or will soon; medium: slow; low: untidy."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """``id`` never changes its meaning (docs/doctor.md). ``remedy`` says what to do, ``commands`` how, to the letter.

    ``proof`` shows, where it could be tried on a copy, that the remedy works.
    """

    id: str
    severity: Severity
    title: str
    evidence: tuple[str, ...] = ()
    remedy: str = ""
    commands: str = ""
    proof: str = ""

    def __post_init__(self) -> None:
        if self.id not in IDS:
            raise ValueError(f"{self.id} is no finding that docs/doctor.md explains")

    def as_data(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "severity": self.severity.value,
            "title": self.title,
            "evidence": list(self.evidence),
            "remedy": self.remedy,
            "commands": self.commands,
            "proof": self.proof,
        }


@dataclass(frozen=True, slots=True)
class Unseen:
    """What was not looked at, or not to its end, and why."""

    check: str
    reason: str


@dataclass(slots=True)
class Report:
    """The outcome of a review. ``figures`` describe the patient; ``checks`` counts those that ran to their end."""

    findings: list[Finding] = field(default_factory=list)
    unseen: list[Unseen] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)
    checks: int = 0
    seconds: float = 0.0

    @property
    def healthy(self) -> bool:
        return not self.findings

    def sort(self) -> None:
        self.findings.sort(key=lambda one: (one.severity.rank, one.id, one.title))

    def as_data(self) -> Mapping[str, Any]:
        return {
            "healthy": self.healthy,
            "findings": [one.as_data() for one in self.findings],
            "not_looked_at": [{"check": one.check, "reason": one.reason} for one in self.unseen],
            "figures": self.figures,
            "checks": self.checks,
            "seconds": round(self.seconds, 3),
        }


def examples(rows: Iterable[str], count: int) -> tuple[str, ...]:
    """The first of ``count`` rows as lines of evidence, and how many more there are."""
    shown = tuple(rows)[:SHOWN]
    more = count - len(shown)
    return (*shown, f"and {more:,} more") if more > 0 else shown


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
