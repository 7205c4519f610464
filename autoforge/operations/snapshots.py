"""What all processes noticed, as one: for the pages, the doctor and programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoforge.telemetry import n_plus_one, slow

_ORDERS = {
    "total": lambda shape: shape["total_ms"],
    "p95": lambda shape: shape["p95_ms"],
    "mean": lambda shape: shape["mean_ms"],
    "slowest": lambda shape: shape["slowest_ms"],
    "count": lambda shape: shape["count"],
    "rows": lambda shape: shape["rows"],
}
ORDERS = tuple(_ORDERS)


def merged(processes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """JSON: ``processes``, ``statements`` (most time in all first), ``n_plus_one``, ``pools`` and ``cache``."""
    processes = sorted(processes, key=lambda one: (one["process"]["role"], one["process"]["name"]))
    statements = [one["statements"] for one in processes]
    shapes = [presented(shape) for shape in slow.merged(one["shapes"] for one in statements)]
    return {
        "processes": [one["process"] for one in processes],
        "statements": {
            "since": min(one["since"] for one in statements),
            "forgotten": sum(one["forgotten"] for one in statements),
            "shapes": ordered(shapes, "total"),
        },
        "n_plus_one": {
            "looked_at": sum(one["n_plus_one"]["looked_at"] for one in processes),
            "every": processes[0]["n_plus_one"]["every"],
            "findings": n_plus_one.merged([one["n_plus_one"]["findings"] for one in processes]),
        },
        "pools": [{"process": one["process"]["name"], **one["pools"]} for one in processes],
        "cache": _cache([one["cache"] for one in processes]),
    }


def presented(shape: Mapping[str, Any]) -> dict[str, Any]:
    """A shape with times in milliseconds; ``routes`` as a list, the one that asks most often first."""
    count = shape["count"] or 1
    routes = sorted(shape["routes"].items(), key=lambda one: -one[1])
    kept = ("key", "name", "sql", "dialect", "count", "errors", "rows", "last_seen")
    return {name: shape[name] for name in kept} | {
        "total_ms": 1_000 * shape["seconds"],
        "mean_ms": 1_000 * shape["seconds"] / count,
        "p95_ms": 1_000 * min(shape["slowest"], slow.quantile(shape["buckets"], 0.95)),
        "slowest_ms": 1_000 * shape["slowest"],
        "routes": [{"route": route, "count": number} for route, number in routes],
    }


def ordered(shapes: Sequence[dict[str, Any]], order: str) -> list[dict[str, Any]]:
    """By one of :data:`ORDERS`, the largest first."""
    return sorted(shapes, key=_ORDERS[order], reverse=True)


def _cache(every: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    kinds: dict[str, dict[str, float]] = {}
    for one in every:
        for label, counts in one["kinds"].items():
            known = kinds.setdefault(label, {})
            for name, number in counts.items():
                known[name] = known.get(name, 0) + number
    return {
        "kinds": {label: counts | _worth(counts) for label, counts in kinds.items()},
        "entries": sum(one["entries"] for one in every),
        "bytes": sum(one["bytes"] for one in every),
        "far": _far([one["far"] for one in every if one["far"] is not None]),
    }


def _worth(counts: Mapping[str, float]) -> dict[str, float | None]:
    """``hit_rate`` over this process and Redis; ``saved_seconds``: what the hits would have taken to compute."""
    asked, loads = counts["hits"] + counts["misses"], counts["loads"]
    hits = counts["hits"] + counts["far_hits"]
    mean = counts["seconds"] / loads if loads else None
    return {
        "hit_rate": hits / asked if asked else None,
        "mean_load_ms": None if mean is None else 1_000 * mean,
        "saved_seconds": None if mean is None else mean * (hits + counts["shared"]),
    }


def _far(every: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Redis, as it is seen by the processes; None where there is none."""
    if not every:
        return None
    total = {name: sum(one[name] for one in every) for name in ("connections", "failures", "untold")}
    return {"up": sum(bool(one["up"]) for one in every), "processes": len(every), **total}
