"""Samples for the operator's pages; see samples.py."""

from __future__ import annotations

from typing import Any

from autoforge.db.explaining import Plan
from autoforge.db.plans import Finding
from autoforge.operations.service_pages import charts
from tests.web.sample_prompts import NOW, Context, ago, ident

_SQL = "SELECT prompts.id, prompts.name FROM prompts WHERE prompts.workspace_id = ? ORDER BY prompts.name LIMIT ?"


def _objective(name: str, milliseconds: int | None, target: float, state: str, left: float) -> dict[str, Any]:
    requests = 1_204_551
    allowed = (1 - target) * requests
    return {
        "name": name,
        "target": target,
        "milliseconds": milliseconds,
        "state": state,
        "good_last_hour": 0.99931,
        "good_30d": 0.9995,
        "budget": {"requests": requests, "allowed": allowed, "spent": int(allowed * (1 - left)), "left": left},
        "burn": {"5m": 0.0, "1h": 0.004, "6h": 0.7, "3d": 1.234},
    }


OBJECTIVES = [
    _objective("availability", None, 0.999, "kept", 0.62),
    _objective("api_p50", 20, 0.5, "kept", 0.98),
    _objective("api_p95", 150, 0.95, "slow", 0.21),
    _objective("api_p99", 200, 0.99, "broken", -0.4),
]
_TIMES = {"requests_per_second": 412.5, "error_rate": 0.0007, "p50": 3.4, "p95": 18.2, "p99": 71.0}
_POINTS = [{"at": int(NOW.timestamp()) - 300 * (72 - i), **_TIMES, "p95": 18.0 + i % 7} for i in range(72)]
_KIND = {"hits": 91_204, "misses": 4_022, "far_hits": 300, "loads": 3_722, "shared": 12, "renewed": 0, "seconds": 9.1}
_PROCESS: dict[str, Any] = {
    "name": "host-4121",
    "role": "server",
    "pid": 4121,
    "memory": 187_000_000,
    "started_at": ago(days=3),
    "pool": {"places": 4, "used": 1, "waiting": 0, "writer": {"waiting": 2, "commits": 100, "blocks": 312}},
}
SERVICE: Context = {
    "state": "broken",
    "objectives": OBJECTIVES,
    "now": {"5m": _TIMES, "1h": _TIMES},
    "over": "6h",
    "charts": charts(_POINTS, "6h"),
    "processes": [
        _PROCESS,
        {**_PROCESS, "role": "worker", "memory": None, "pool": {**_PROCESS["pool"], "writer": None}},
    ],
    "cache": {
        "kinds": {
            "prompt": {**_KIND, "hit_rate": 0.957, "mean_load_ms": 2.4, "saved_seconds": 219.3},
            "statistics": {**dict.fromkeys(_KIND, 0), "hit_rate": None, "mean_load_ms": None, "saved_seconds": None},
        },
        "entries": 10_410,
        "bytes": 18_300_000,
        "far": {"up": 1, "processes": 2, "connections": 2, "failures": 3, "untold": 4},
    },
    "jobs": {
        "running": [
            {
                "id": ident(951),
                "title": "Import people from colleagues.csv",
                "task": "users.import",
                "done": 41_500,
                "total": 100_000,
                "started_at": ago(minutes=2),
                "slug": "main",
            },
            {
                "id": ident(952),
                "title": "",
                "task": "jobs.forget",
                "done": 0,
                "total": None,
                "started_at": ago(minutes=1),
                "slug": None,
            },
        ],
        "waiting": 12,
    },
}
_EMPTY_TIMES = {"requests_per_second": 0.0, "error_rate": None, "p50": None, "p95": None, "p99": None}
_NOTHING: Context = {
    **SERVICE,
    "state": "unknown",
    "objectives": [
        {
            **one,
            "state": "unknown",
            "good_last_hour": None,
            "budget": {"requests": 0, "allowed": 0.0, "spent": 0, "left": 1.0},
            "burn": dict.fromkeys(one["burn"]),
        }
        for one in OBJECTIVES
    ],
    "now": {"5m": _EMPTY_TIMES, "1h": _EMPTY_TIMES},
    "charts": [],
    "cache": {**SERVICE["cache"], "far": None},
    "jobs": {"running": [], "waiting": 0},
}
_SHAPE: dict[str, Any] = {
    "key": "0123456789abcdef",
    "name": "prompts.page",
    "sql": _SQL,
    "dialect": "sqlite",
    "count": 120_334,
    "errors": 2,
    "rows": 6_016_700,
    "total_ms": 412_000.0,
    "mean_ms": 3.42,
    "p95_ms": 8.1,
    "slowest_ms": 1_204.0,
    "last_seen": ago(minutes=1),
    "routes": [{"route": "GET /api/v1/prompts", "count": 120_000}, {"route": "job prompts.import", "count": 334}],
}
_REPEATED = {
    "route": "GET /w/{workspace}/prompts",
    "shape": "0123456789abcdef",
    "statement": "prompts.page",
    "line": "autoforge/prompts/queries.py:120 latest_of",
    "callers": ["autoforge/prompts/pages.py:45 list_prompts"],
    "most": 51,
    "requests": 12,
    "last_seen": ago(minutes=1),
}
_STATEMENTS: Context = {
    "shapes": [_SHAPE, {**_SHAPE, "key": "1123456789abcdef", "name": "select jobs", "routes": [], "errors": 0}],
    "number": 212,
    "total_ms": 1_000_000.0,
    "since": ago(days=2),
    "forgotten": 12,
    "repeated": [_REPEATED],
    "every": 10,
    "looked_at": 41_212,
    "processes": 2,
}
_PLAN = Plan(
    ["SCAN prompts", "USE TEMP B-TREE FOR ORDER BY"],
    [
        Finding("prompts.page", "full scan", "prompts", "SCAN prompts"),
        Finding("prompts.page", "temporary sort", "", "USE TEMP B-TREE FOR ORDER BY"),
    ],
    "Made without the parameters of a call.",
)
_LEAF: dict[str, Any] = {
    "function": "execute",
    "place": "sqlalchemy/engine/base.py:1400",
    "seconds": 0.02,
    "own": 0.018,
    "waiting": 0.002,
    "share": 0.4,
    "through": 3,
    "children": [],
}
_PROFILE: dict[str, Any] = {
    "id": "0195f0a1b2c3d",
    "kind": "request",
    "what": "GET /w/{workspace}/prompts",
    "by": "Ada Lovelace",
    "process": "host-4121",
    "at": ago(minutes=4),
    "seconds": 0.05,
    "cpu_seconds": 0.04,
    "samples": 41,
}
_TREE: dict[str, Any] = {
    **_LEAF,
    "function": "call",
    "place": "autoforge/operations/profiling.py:37",
    "seconds": 0.05,
    "own": 0.01,
    "waiting": 0.02,
    "share": 1.0,
    "through": 0,
    "children": [{**_LEAF, "children": [_LEAF]}, {**_LEAF, "share": 0.01, "seconds": 0.0005}],
}
_ASKING: Context = {
    "profiles": [_PROFILE, {**_PROFILE, "kind": "job", "what": "users.import"}],
    "running": {"kind": "server", "what": "10 s"},
    "ordered": {"kind": "job", "what": "users.import", "by": "Ada Lovelace"},
    "tasks": [("users.import", "Import people"), ("jobs.forget", "jobs.forget")],
    "values": {"kind": "request", "request-what": "nothing"},
    "error": "An address begins with a slash.",
}
OPERATIONS: dict[str, list[Context]] = {
    "operations/service.html": [
        SERVICE,
        _NOTHING,
        *({**SERVICE, "state": state, "over": "30d"} for state in ("fast", "slow", "kept")),
    ],
    "operations/statements.html": [
        _STATEMENTS,
        {**_STATEMENTS, "shapes": [], "repeated": [], "every": 0, "forgotten": 0, "processes": 1},
    ],
    "operations/profiles.html": [
        _ASKING,
        {**_ASKING, "profiles": [], "running": None, "ordered": None, "values": {}, "error": ""},
    ],
    "operations/profile.html": [
        {"profile": _PROFILE, "tree": _TREE, "hottest": [_LEAF]},
        {"profile": _PROFILE, "tree": _LEAF, "hottest": []},
    ],
    "operations/statement.html": [
        {"shape": _SHAPE, "plan": _PLAN, "repeated": [_REPEATED]},
        {"shape": _SHAPE, "plan": Plan(["SEARCH prompts USING INDEX ix_prompts_name"]), "repeated": []},
    ],
}
