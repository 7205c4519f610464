"""A context for the doctor's page: before the first review, during one, with findings and without."""

from __future__ import annotations

from typing import Any

from tests.web.sample_prompts import Context, ago

_FINDING: dict[str, Any] = {
    "id": "index-missing",
    "severity": "high",
    "title": "An index on prompts (workspace_id, title, id) would serve 1 statement",
    "evidence": ["prompts has 1,204,000 rows.", "prompts.by_title: SELECT name FROM prompts ORDER BY title"],
    "remedy": "Make the index; it costs a little of every write to the table.",
    "commands": "CREATE INDEX ix_prompts_title ON prompts (workspace_id, title, id) WHERE deleted_at IS NULL;",
    "proof": "prompts.by_title, before:\nSCAN prompts\nprompts.by_title, after:\nSEARCH prompts USING INDEX",
}
_BARE = {**_FINDING, "id": "file-fragmented", "evidence": [], "remedy": "", "commands": "", "proof": ""}
_REPORT: dict[str, Any] = {
    "findings": [
        {**_FINDING, "severity": "critical"},
        _FINDING,
        *({**_BARE, "severity": s} for s in ("medium", "low")),
    ],
    "not_looked_at": [{"check": "integrity: file", "reason": "20 s were not enough: 120,000 rows read"}],
    "figures": {"database": "sqlite:////data/autoforge.db", "rows": "1,284 rows in 27 tables"},
    "checks": 48,
    "seconds": 1.04,
}
_SHOWN: Context = {"report": _REPORT, "at": ago(minutes=4), "live": False, "error": None}
DOCTOR: dict[str, list[Context]] = {
    "operations/doctor.html": [
        _SHOWN,
        {**_SHOWN, "live": True},
        {**_SHOWN, "report": {**_REPORT, "findings": [], "not_looked_at": []}},
        {"report": None, "at": None, "live": False, "error": "The review failed: there is no database."},
    ]
}
