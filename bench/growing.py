"""A database in which every table that a list shows has the same number of rows, filled by SQL alone (SQLite)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from autoforge.db.connection import dbapi

_ID = "unhex(printf('%012x7%03x8%015x', :now / 1000 + {row}, {table}, {row}))"
_AT = ":now + n * 1000"
_NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)"
BEGAN = 1_700_000_000_000_000
"""When the first row was made, in microseconds."""


def row_id(table: int, row: str = "n") -> str:
    """SQL of the id of a row: a UUID of version 7 that ascends with the row."""
    return _ID.format(row=row, table=table)


def uuid_of(table: int, row: int) -> UUID:
    """The same as a value."""
    return UUID(f"{BEGAN // 1000 + row:012x}7{table:03x}8{row:015x}")


USERS, PROMPTS, VERSIONS, MANY, TEMPLATES, SUITES, CASES, RUNS, JOBS, LINKS, KEYS, FAULTS = range(1, 13)


@dataclass(frozen=True, slots=True)
class Fill:
    """``values`` are SQL by column; ``more`` comes beside what most tables have."""

    table: str
    values: dict[str, str]


def _place(**more: str) -> dict[str, str]:
    return {"workspace_id": ":workspace", **more}


def _dated(**more: str) -> dict[str, str]:
    return {**more, "created_at": _AT, "updated_at": _AT}


_CONTENT = """'{"messages":[{"content":"' || n || ' hello","role":"user"}]}'"""
_FIRST_VERSION = {"prompt_id": row_id(PROMPTS), "number": "1", "content_hash": "'growth:' || n", "content": _CONTENT}
_RUN = {"id": row_id(RUNS), "prompt_id": row_id(PROMPTS), "version_id": row_id(VERSIONS), "batch_id": row_id(RUNS)}
_RUN |= {"suite_id": row_id(SUITES, "(n % 50 + 1)"), "name": "'run ' || n", "status": "'completed'", "model": "'m'"}
_RUN |= {"score": "(n % 100) / 100.0", "cases": "10", "created_by": ":owner", "created_at": _AT, "completed_at": _AT}

_ASKED = """{"file":"f","name":"people.csv","columns":[],"mapping":[],"on_existing":"skip","dry_run":false,"rows":1}"""

FILLS = (
    Fill("users", _dated(id=row_id(USERS), email="'p' || n || '@example.com'", name="'Person ' || n",
                         role="iif(n % 10, 'user', 'manager')", is_active="n % 20 != 0")),
    Fill("memberships", _place(user_id=row_id(USERS), role="'member'", created_at=_AT)),
    Fill("prompts", _place(**_dated(id=row_id(PROMPTS), owner_id=":owner", name="'team-' || (n % 7) || '/prompt-' || n",
                                    folder="'team-' || (n % 7) || '/'", title="'Prompt ' || n", status="'active'"))),
    Fill("prompt_versions", {"id": row_id(VERSIONS), **_FIRST_VERSION, "author_id": ":owner", "created_at": _AT}),
    Fill("prompt_heads", {"prompt_id": row_id(PROMPTS), "kind": "'branch'", "name": "'main'",
                          "version_id": row_id(VERSIONS), "updated_at": _AT, "updated_by": ":owner"}),
    Fill("prompt_versions", {"id": row_id(MANY), "prompt_id": row_id(PROMPTS, "1"), "number": "n + 1",
                             "content_hash": "'many:' || n", "content": _CONTENT, "author_id": ":owner",
                             "created_at": _AT}),
    Fill("prompt_scores", _place(prompt_id=row_id(PROMPTS), evaluations="6 + n % 9", average="(n % 1000) / 1000.0")),
    Fill("templates", _place(**_dated(id=row_id(TEMPLATES), owner_id=":owner", name="'template-' || n",
                                      category="'c' || (n % 9)", visibility="'private'", content=_CONTENT,
                                      usage_count="n % 1000"))),
    Fill("suites", _place(**_dated(id=row_id(SUITES), owner_id=":owner", name="'suite-' || n"))),
    Fill("test_cases", {"id": row_id(CASES), "suite_id": row_id(SUITES, "1"), "position": "n",
                        "name": "'case ' || n", "content": """'{"variables":{"question":"' || n || '"}}'""",
                        "content_hash": "'case:' || n", "created_at": _AT}),
    Fill("evaluations", _place(**_RUN)),
    Fill("test_results", {"evaluation_id": row_id(RUNS, "1"), "position": "n", "case_id": row_id(CASES),
                          "case_name": "'case ' || n", "outcome": "n % 3", "score": "(n % 100) / 100.0",
                          "reason": "'because'", "output": "'answer ' || n", "assertions": "'[]'"}),
    Fill("jobs", _place(id=row_id(JOBS), created_by=":owner", task="'users.import'", status="'completed'",
                        payload=f"'{_ASKED}'", run_after=_AT, turn_at=_AT, created_at=_AT, ended_at=_AT)),
    Fill("import_faults", {"id": row_id(FAULTS), "job_id": row_id(JOBS, "1"), "line": "n", "message": "'refused'"}),
    Fill("audit_log", _place(seq="n + :audited", at=_AT, actor_id=":owner", action="'prompt_created'",
                             subject_kind="'prompt'", subject_id="'p' || n", hash="zeroblob(32)")),
    Fill("api_keys", _place(id=row_id(KEYS), user_id=row_id(USERS), name="'key ' || n", prefix="'afn_'",
                            key_hash=row_id(KEYS), scopes="'[]'", created_at=_AT)),
    Fill("one_time_links", _place(id=row_id(LINKS), kind="'invitation'", token_hash=row_id(LINKS),
                                  email="'i' || n || '@example.com'", created_by=":owner", created_at=_AT,
                                  expires_at="4000000000000000")),
)  # fmt: skip


def fill(path: Path, rows: int, workspace: UUID, owner: UUID) -> None:
    """Puts ``rows`` rows into every table of :data:`FILLS`, as fast as SQLite can: nothing is synced meanwhile."""
    connection = dbapi.connect(str(path))
    try:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-200000")
        audited = connection.execute("SELECT coalesce(max(seq), 0) FROM audit_log").fetchone()[0]
        given = {"now": BEGAN, "rows": rows, "workspace": workspace.bytes, "owner": owner.bytes, "audited": audited}
        for statement, values in _statements(given):
            connection.execute(statement, values)
        connection.commit()
        connection.execute("UPDATE suites SET case_count = ? WHERE id = ?", (rows, uuid_of(SUITES, 1).bytes))
        connection.execute("UPDATE evaluations SET cases = ? WHERE id = ?", (rows, uuid_of(RUNS, 1).bytes))
        connection.commit()
    finally:
        connection.close()


def _statements(given: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in FILLS:
        columns, values = ", ".join(one.values), ", ".join(one.values.values())
        sql = f"{_NUMBERS} INSERT INTO {one.table} ({columns}) SELECT {values} FROM numbers"
        yield sql, {name: value for name, value in given.items() if f":{name}" in sql}
