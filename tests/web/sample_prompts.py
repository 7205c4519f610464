"""Sample prompts, versions, differences and lists for the page templates; see samples.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.web.sample_runs import EVALUATIONS

Context = dict[str, Any]

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
ANN, BEN = "ann", "ben"


def ago(**distance: float) -> datetime:
    return NOW - timedelta(**distance)


def ident(number: int) -> UUID:
    return UUID(int=0x0193_5000_0000_7000_8000_0000_0000_0000 + number)


def pager(shown: int, following: str | None = "b3BhcXVl", total: str | None = None) -> Context:
    return {"next": following, "shown": shown, "total": total}


def label(name: str, number: int) -> Context:
    return {"name": name, "number": number}


LATEST = {"evaluation_id": ident(50), "cases": 120, "model": "small-model"}


def _prompt_rows() -> list[Context]:
    rows = [
        (
            "support/triage",
            "Sorts incoming mail by urgency and team",
            "active",
            7,
            [label("production", 6)],
            0.9142,
            0.2,
        ),
        (
            "support/reply",
            "Drafts an answer in the customer's language",
            "active",
            12,
            [label("production", 12)],
            0.861,
            3,
        ),
        ("support/refund-check", "Decides whether the refund policy applies", "draft", 2, [], 0.5, 26),
        (
            "extract/invoice",
            "Reads supplier, date, lines and total as JSON",
            "active",
            5,
            [label("production", 4), label("canary", 5)],
            0.9996,
            50,
        ),
        ("extract/receipt-ja", "領収書から店名、日付、合計を読み取る", "active", 3, [], 0.78, 75),
        (
            "math/word-problems",
            "Grade-school arithmetic, one step at a time",
            "active",
            4,
            [label("production", 3)],
            0.5625,
            120,
        ),
        ("sql/from-question", "Writes one SELECT over the sales schema", "archived", 9, [], 0.412, 700),
        ("summarise/meeting", "", "draft", 1, [], None, 2000),
    ]
    return [
        {
            "id": ident(i),
            "name": name,
            "title": title,
            "status": status,
            "head_number": number,
            "labels": labels,
            "owner": ANN if i % 2 else BEN,
            "updated_at": ago(hours=hours),
            "snippet": None,
            "latest_score": score,
            "latest": None
            if score is None
            else {
                "evaluation_id": ident(50 + i),
                "score": score,
                "cases": 120 * (i + 1),
                "model": "m-1",
                "version": i or None,
            },
        }
        for i, (name, title, status, number, labels, score, hours) in enumerate(rows)
    ]


PROMPTS = _prompt_rows()
PROMPT = {
    **PROMPTS[0],
    "branch": "main",
    "description": "Sorts what comes in. Ask Ann before you change the teams.",
    "tags": ["mail", "triage"],
    "created_at": ago(days=40),
    "versions": 7,
    "evaluations": 14,
    "deleted_at": None,
    "row_version": 9,
}
MESSAGES = [
    {
        "role": "system",
        "content": "You sort incoming support mail.\n\nAnswer with one JSON object and nothing else:\n"
        '  "team": one of {{teams}}\n  "urgency": 1 (can wait) to 4 (somebody is losing money right now)\n'
        '  "reason": one sentence that quotes the mail\n\nA customer who only asks about an invoice is never urgent.\n'
        "When the mail names an order number, repeat it exactly as it is written.",
    },
    {"role": "user", "content": "Subject: {{subject}}\n\n{{body}}"},
    {"role": "assistant", "content": '{"team": "'},
]


def _variable(name: str, description: str = "", default: str | None = None) -> Context:
    has_default = default is not None
    about = {"description": description, "required": not has_default, "has_default": has_default, "default": default}
    return {"name": name, **about}


VERSION = {
    "number": 7,
    "messages": MESSAGES,
    "variables": [
        _variable("teams", "Comma-separated names", "billing, shipping"),
        _variable("subject"),
        _variable("body"),
    ],
    "engine": "mustache",
    "parameters": {"temperature": 0, "max_tokens": 200},
    "tools": [],
    "content_hash": "sha256-v1:5b1f0c9d7a3e4410b0f0aa61c2de9a17",
    "response_schema": {"type": "object", "required": ["team", "urgency", "reason"]},
    "author": ANN,
    "created_at": ago(minutes=12),
    "message": "Say what urgency 4 means",
    "parents": [6],
    "branches": ["main"],
    "labels": [],
    "latest_score": 0.9142,
    "latest_model": "small-model",
}


def _history() -> list[Context]:
    rows = [
        (7, [6], "Say what urgency 4 means", ANN, 0.2, ["main"], [], 0.9142),
        (6, [4, 5], "Merge shorter-answers", BEN, 30, [], [label("production", 6)], 0.893),
        (5, [3], "Answer in fewer words", BEN, 50, ["shorter-answers"], [], 0.874),
        (4, [3], "Repeat order numbers exactly", ANN, 70, [], [label("canary", 4)], 0.866),
        (3, [2], "An invoice question is never urgent", ANN, 200, [], [], 0.831),
        (2, [1], "Answer as JSON", BEN, 400, [], [], 0.69),
        (1, [], "", ANN, 960, [], [], None),
    ]
    names = (
        "number",
        "parents",
        "message",
        "author",
        "created_at",
        "branches",
        "labels",
        "latest_score",
        "latest_model",
    )
    return [dict(zip(names, [*row[:4], ago(hours=row[4]), *row[5:], "m-1"], strict=True)) for row in rows]


HISTORY = _history()
MOVES = [
    {
        "kind": kind,
        "name": name,
        "from_number": before,
        "to_number": after,
        "moved_by": ANN,
        "moved_at": ago(hours=hours),
    }
    for kind, name, before, after, hours in (
        ("branch", "main", 6, 7, 0.2),
        ("label", "canary", 4, None, 20),
        ("label", "production", None, 6, 30),
    )
]


PARTS = {
    "role": "developer",
    "content": [{"type": "text", "text": "What is on {{picture}}?"}, {"type": "image_url", "image_url": {"url": "x"}}],
    "extras": {"name": "looker"},
}
EDIT_VALUES = {
    "name": "support/triage",
    "title": "Sorts incoming mail",
    "messages": [*MESSAGES[:2], PARTS],
    "engine": "mustache",
    "parameters": '{"temperature": 0}',
    "tools": "",
    "variables": "",
    "response_schema": "",
    "message": "",
    "branch": "main",
    "started_on": "main",
    "head": 7,
}
SHOW = {
    "prompt": PROMPT,
    "version": VERSION,
    "rendered": None,
    "values": {"teams": "billing, shipping"},
    "render_errors": {},
}
SHOW_RENDERED = {
    **SHOW,
    "version": {**VERSION, "messages": [PARTS], "tools": [{"type": "function"}], "response_schema": None},
    "rendered": [{"role": "user", "content": "Subject: Late\n\nWhere is order 118-22?"}],
    "render_errors": {"v-subject": "subject has no value"},
}
CHART = {
    "kind": "line",
    "format": "percent",
    "x": ["v1", "v2", "v3", "v4", "v5", "v6", "v7"],
    "series": [
        {"name": "Support mail, 120 cases", "data": [None, 0.69, 0.831, 0.866, 0.874, 0.893, 0.9142]},
        {"name": "Hard cases, 40 cases", "data": [None, None, 0.525, 0.55, 0.6, 0.575, 0.65]},
    ],
}
OVERVIEW = {
    "totals": {
        "prompts": 12,
        "versions": 47,
        "suites": 2,
        "cases": 160,
        "evaluations": 19,
        "results": 2280,
        "average_score": 0.7731,
    },
    "activity": [
        0,
        0,
        40,
        120,
        0,
        0,
        80,
        120,
        160,
        40,
        0,
        0,
        120,
        240,
        120,
        80,
        0,
        0,
        160,
        120,
        200,
        80,
        0,
        0,
        120,
        40,
        80,
        160,
        120,
        60,
    ],
    "prompts": PROMPTS[:6],
    "evaluations": EVALUATIONS[:6],
    "steps": [
        {"title": "Start the server", "body": "", "done": True, "command": "", "url": ""},
        {
            "title": "Bring your prompts",
            "body": "From CSV, JSON, JSONL, YAML or a folder of Markdown files.",
            "done": False,
            "command": "autoforge prompts import prompts.csv",
            "url": "",
        },
        {
            "title": "Score recorded outputs",
            "body": "A configuration in promptfoo's shape and a file of answers: no key is needed.",
            "done": False,
            "command": "autoforge evaluate config.yaml --outputs outputs.jsonl",
            "url": "",
        },
        {
            "title": "Compare two runs",
            "body": "See whether the second one is really better, or whether the cases cannot tell.",
            "done": False,
            "command": "",
            "url": "/w/main/compare",
        },
    ],
    "samples": {"present": True, "prompts": 12, "suites": 2, "evaluations": 19},
}
TEMPLATES = [
    {
        "id": ident(80 + i),
        "name": name,
        "description": text,
        "category": category,
        "visibility": visibility,
        "usage_count": uses,
        "is_own": own,
        "updated_at": ago(days=3 + i),
    }
    for i, (name, text, category, visibility, uses, own) in enumerate(
        [
            (
                "Answer as JSON",
                "Asks for one object that follows a schema, and for nothing around it.",
                "extraction",
                "public",
                128,
                False,
            ),
            (
                "Step by step",
                "Lets the model reason first and give the final number on the last line.",
                "reasoning",
                "public",
                64,
                False,
            ),
            ("House style", "Our tone of voice for all customer mail.", "support", "private", 9, True),
        ]
    )
]
ANALYSIS = {
    "rows": [
        {
            "id": row["id"],
            "name": row["name"],
            "average": (row["latest_score"] or 0) - 0.03,
            "evaluations": 30 - 3 * i,
            "best": row["latest_score"],
            "latest": row["latest_score"],
            "trend": [0.4 + 0.05 * ((i * step) % 7) for step in range(1, 12)],
        }
        for i, row in enumerate(PROMPTS[:7])
    ],
    "computed_at": ago(minutes=14),
    "pager": pager(7, None),
}
PROBLEM = {
    "status": 422,
    "title": "The input is not valid",
    "detail": "2 things are wrong; see errors.",
    "request_id": "0193a7c2-6d1e",
    "errors": [
        {"pointer": "/messages/0/content", "message": "must not contain U+0000"},
        {"pointer": "?limit", "message": "must be at most 200"},
    ],
}
SUITES = [
    {
        "id": ident(90),
        "name": "Support mail",
        "description": "Real questions, rewritten; each names the team that should get it.",
        "cases": 120,
        "evaluations": 14,
        "latest_score": 0.9142,
        "created_at": ago(days=2),
    },
    {
        "id": ident(91),
        "name": "Word problems",
        "description": "",
        "cases": 40,
        "evaluations": 5,
        "latest_score": None,
        "created_at": ago(days=9),
    },
]
