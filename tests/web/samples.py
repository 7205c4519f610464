"""A context for every page template, as its comment documents it: rendered by the tests and by the style guide.

The content is written for this purpose. Dictionaries and plain tuples stand in for the rows that routes pass.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from autoforge.prompts.transfer_pages import MAPPED
from autoforge.web.rendering import Flash, Page, render
from tests.web.sample_differences import DIFF, DIFF_ROWS, MERGE
from tests.web.sample_doctor import DOCTOR
from tests.web.sample_jobs import JOBS
from tests.web.sample_operations import OPERATIONS
from tests.web.sample_people import PEOPLE
from tests.web.sample_prompts import (
    ANALYSIS,
    CHART,
    EDIT_VALUES,
    HISTORY,
    MESSAGES,
    MOVES,
    NOW,
    OVERVIEW,
    PROBLEM,
    PROMPT,
    PROMPTS,
    SHOW,
    SHOW_RENDERED,
    SUITES,
    TEMPLATES,
    VERSION,
    Context,
    ago,
    ident,
    label,
    pager,
)
from tests.web.sample_runs import COMPARE, EVALUATIONS, RESULTS, RUN, SUITE_CASES

__all__ = ["NOISY_PAGE", "NOW", "PAGES", "filled", "page"]

TEMPLATE_VALUES = {**EDIT_VALUES, "description": "", "category": "support", "public": True, "row_version": "3"}
SUITE_VALUES = {"name": "x", "description": "", "tests": "- vars: {a: 1}", "row_version": "3"}
_COUNTS = {"created": 3, "extended": 1, "unchanged": 2, "failed_count": 1_203}
_FORM: Context = {"folder": "", "skip_bad": False, "placeholders": "", "separator": ""} | {
    f"column_{field}": "" for field in MAPPED
}
_BAD = [{"line": 3, "place": "line 3", "message": "There is no text; name a column with map."}]
IMPORTED: list[Context] = [
    *({**_COUNTS, "stored": stored, "failed": _BAD} for stored in (True, False)),
    {**_COUNTS, "stored": False, "failed_count": 0, "failed": []},
]
PAGES: dict[str, list[Context]] = {
    **DOCTOR,
    **JOBS,
    **OPERATIONS,
    **PEOPLE,
    "overview.html": [
        OVERVIEW,
        {
            **OVERVIEW,
            "prompts": [],
            "evaluations": [],
            "activity": [],
            "samples": {**OVERVIEW["samples"], "present": False},
        },
    ],
    "prompts/list.html": [
        {
            "prompts": PROMPTS,
            "folder": "",
            "folders": [
                {"path": p, "name": p, "prompts": n}
                for p, n in (("extract", 2), ("math", 1), ("sql", 1), ("summarise", 1), ("support", None))
            ],
            "pager": pager(8, total="1,000+"),
            "filtered": False,
        },
        {
            "prompts": [{**PROMPTS[0], "snippet": [("…sort incoming ", False), ("support", True), (" mail…", False)]}],
            "folder": "support",
            "folders": [],
            "pager": pager(1, None),
            "filtered": True,
        },
        {"prompts": [], "folder": "a/b", "folders": [], "pager": pager(0, None), "filtered": True},
        {"prompts": [], "folder": "", "folders": [], "pager": pager(0, None), "filtered": False},
    ],
    "prompts/import.html": [
        *({"values": _FORM, "errors": {}, "report": one} for one in (None, *IMPORTED)),
        {
            "values": {**_FORM, "folder": "a", "skip_bad": True, "column_prompt": "question"},
            "errors": {"file": "No.", "folder": "No."},
            "report": None,
        },
    ],
    "prompts/show.html": [SHOW, SHOW_RENDERED, {**SHOW, "prompt": {**PROMPT, "deleted_at": NOW}}],
    "prompts/version.html": [
        {**SHOW, "newer": None, "older": 6},
        {
            **SHOW,
            "version": {**VERSION, "number": 3, "variables": [], "labels": [label("old", 3)]},
            "newer": 4,
            "older": 2,
        },
    ],
    "prompts/versions.html": [
        {
            "prompt": PROMPT,
            "versions": HISTORY,
            "branches": [label("main", 7), label("shorter-answers", 5)],
            "pager": pager(7, None),
            "moves": MOVES,
            "typed": {},
            "errors": {},
        },
        {
            "prompt": PROMPT,
            "versions": HISTORY[:1],
            "branches": [label("main", 7)],
            "pager": pager(1),
            "moves": [],
            "typed": {"label": "2", "number": "99"},
            "errors": {"label": "'2' would read as a version number; a label needs a letter."},
        },
    ],
    "prompts/evaluations.html": [
        {"prompt": PROMPT, "evaluations": EVALUATIONS, "history": CHART, "pager": pager(5)},
        {"prompt": PROMPT, "evaluations": [], "history": None, "pager": pager(0, None)},
    ],
    "prompts/settings.html": [
        {
            "prompt": PROMPT,
            "values": {
                "name": "support/triage",
                "title": "",
                "description": "Ask Ann first.",
                "tags": "mail, triage",
                "status": "active",
            },
            "errors": {"name": "support/triage is taken: choose another name"},
        }
    ],
    "prompts/diff.html": [DIFF, {**DIFF, "parts": []}],
    "prompts/edit.html": [
        {
            "prompt": PROMPT,
            "base": 7,
            "branches": ["main", "shorter-answers"],
            "values": EDIT_VALUES,
            "errors": {
                "messages-1-content": "{{subject is never closed",
                "parameters": "line 1, column 4: a comma is missing",
            },
        }
    ],
    "prompts/new.html": [
        {"folder": "", "values": {**EDIT_VALUES, "messages": MESSAGES[:1], "parameters": ""}, "errors": {}}
    ],
    "prompts/merge.html": [MERGE, {**MERGE, "conflicts": [], "errors": {"": "main has moved on"}}],
    "templates/list.html": [
        {
            "templates": TEMPLATES,
            "categories": ["extraction", "reasoning", "support"],
            "pager": pager(3, None),
            "filtered": False,
        },
        {"templates": [], "categories": [], "pager": pager(0, None), "filtered": True},
    ],
    "templates/edit.html": [
        {"template": None, "values": TEMPLATE_VALUES, "errors": {"name": "It is taken.", "category": "No."}},
        {"template": TEMPLATES[1], "values": TEMPLATE_VALUES, "errors": {"": "Somebody else saved first."}},
    ],
    "templates/show.html": [
        {"template": TEMPLATES[i], "version": VERSION, "name": "answer-as-json", "errors": errors}
        for i, errors in ((0, {}), (2, {"name": "There is already a prompt of that name."}))
    ],
    "suites/edit.html": [
        {"suite": None, "values": SUITE_VALUES, "errors": {"tests": "/tests/0: No.", "name": "It is taken."}},
        {"suite": SUITES[0], "values": SUITE_VALUES, "errors": {"": "Somebody else saved first."}},
    ],
    "suites/list.html": [
        {"suites": SUITES, "pager": pager(2, None), "filtered": False},
        {"suites": [], "pager": pager(0, None), "filtered": False},
    ],
    "suites/deleted.html": [{"suite": {"id": ident(90), "name": "Support mail", "deleted_at": NOW}}],
    "suites/score.html": [
        {"suite": SUITES[0], "values": {"model": "", "model_field": "", "prompt": "", "join": ""}, "errors": {}},
        {
            "suite": {**SUITES[1], "cases": 1},
            "values": {"model": "m", "model_field": "by", "prompt": "p@9", "join": "id"},
            "errors": {"file": "Choose a file of outputs first.", "prompt": "There is no prompt 'p@9'."},
        },
    ],
    "suites/show.html": [
        {
            "suite": {**SUITES[0], "created_at": ago(days=60)},
            "cases": SUITE_CASES,
            "pager": pager(3),
            "evaluations": EVALUATIONS[:3],
        }
    ],
    "evaluations/list.html": [
        {"evaluations": EVALUATIONS, "pager": pager(5), "filtered": False},
        {"evaluations": [], "pager": pager(0, None), "filtered": False},
    ],
    "evaluations/show.html": [
        RUN,
        {
            **RUN,
            "results": [],
            "metrics": [],
            "others": [],
            "run": {
                **RUN["run"],
                "status": "running",
                "score": None,
                "done": 300,
                "problem": "The server was stopped.",
                "tokens_in": None,
                "latency_p95_ms": None,
            },
        },
    ],
    "evaluations/result.html": [
        {
            "run": RUN["run"],
            "result": {
                **RESULTS[0],
                "messages": MESSAGES,
                "tokens_in": 210,
                "tokens_out": None,
                "finish_reason": "stop",
            },
            "elsewhere": [
                {
                    "run_id": ident(61),
                    "run_name": "baseline",
                    "model": "",
                    "result_id": 3,
                    "outcome": "pass",
                    "score": 1.0,
                }
            ],
        }
    ],
    "evaluations/compare.html": COMPARE,
    "analysis.html": [ANALYSIS, {"rows": [], "computed_at": NOW, "pager": pager(0, None)}],
    "error.html": [{"problem": {**PROBLEM, "status": status}} for status in (401, 404, 409, 422, 500, 503)],
    "styleguide.html": [
        {
            "prompt": PROMPT,
            "messages": MESSAGES,
            "versions": HISTORY,
            "diff_rows": DIFF_ROWS,
            "chart_spec": CHART,
            "prompts": PROMPTS,
        }
    ],
}


PARTS = {"evaluations/show.html": ("cases", "evaluations/cases.html")}
"""Pages with a part that is filled in before: the variable that it is in, and its template."""


def filled(template: str, about: Page, context: Context) -> str:
    """The page, with its part if it has one."""
    if template in PARTS:
        name, part = PARTS[template]
        context = {**context, name: Markup(render(part, about, context))}
    return render(template, about, context)


OWNER: dict[str, Any] = {"user": "Local owner", "role": "admin", "may": lambda _permission: True}


def page(template: str, query: tuple[tuple[str, str], ...] = ()) -> Page:
    return Page(path="/w/main/" + template.removesuffix(".html"), query=query, **OWNER)


NOISY_PAGE = Page(
    path="/w/main/prompts",
    query=(
        ("q", "support"),
        ("sort", "-score"),
        ("after", "b3Bh"),
        ("outcome", "fail"),
        ("view", "split"),
        ("metric", "team"),
        ("show", "worse"),
    ),
    notices=("SQLite 3.40 is older than 3.51.3: one process only.",),
    flashes=(Flash("Saved as v8."), Flash("Nothing was imported.", "failed")),
    **OWNER,
)
