"""Does the server keep its service levels? (Specification: service levels.) The mix is that of :mod:`bench.load.mix`.

Requests arrive at random (Poisson) at a set rate, whether or not the others have been answered, and a latency counts
from the moment at which its request arrived. Everybody is authenticated by key, limits are counted, and every request
is logged.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from bench import options
from bench.driving import Load, loading
from bench.load.mix import SHARES
from bench.processes import memory, processor
from bench.scraped import Counters
from bench.served_site import Setup, Site, served
from bench.table import Table
from tests.servers import Missing

MOST_P99, MOST_ERRORS = 200.0, 0.001
WARM = 45.0
"""Seconds at the full rate before a steady run: until then what is asked for now and then comes into memory."""
FIRST_STEP, LEAST_STEP, STEP = 500.0, 50.0, 1.25
STEADY = "set-up | connections | requests/s | P50 ms | P95 ms | P99 ms | max ms | errors | server CPU | generator CPU"
FOOTPRINT = "set-up | connections | RSS MB | PSS MB | cache hits | statements/s | statement mean ms | P99 ms, at most"


@dataclass(slots=True)
class Found:
    """Rows of all tables."""

    steady: list[list[str]] = field(default_factory=list)
    footprint: list[list[str]] = field(default_factory=list)
    kinds: list[list[str]] = field(default_factory=list)
    hits: list[list[str]] = field(default_factory=list)
    costs: list[list[str]] = field(default_factory=list)
    ramp: list[list[str]] = field(default_factory=list)
    bursts: list[list[str]] = field(default_factory=list)
    overload: list[list[str]] = field(default_factory=list)
    soak: list[list[str]] = field(default_factory=list)
    problems: list[list[str]] = field(default_factory=list)


def run() -> list[Table]:
    found = Found()
    for database in options.chosen.databases:
        for workers in options.chosen.workers:
            try:
                with served(Setup(database, workers)) as site:
                    _measure(site, found)
            except Missing as missing:
                print(missing)
    return _tables(found)


def _measure(site: Site, found: Found) -> None:
    asked, parts = options.chosen, options.chosen.parts
    if "steady" in parts:
        for connections in asked.connections:
            with loading(site.server.port, connections, facts=site.facts) as load:
                _steady(site, load, connections, found)
    if "costs" in parts:
        _costs(site, found)
    best = asked.rate
    with loading(site.server.port, asked.connections[0], patience=5.0, facts=site.facts) as load:
        load.run((asked.rate / 2, 3))
        if "ramp" in parts:
            best = _ramp(site, load, found) or LEAST_STEP
        if "spike" in parts:
            _spike(site, load, min(asked.rate, best), found)
        if "overload" in parts:
            _overload(site, load, best, found)
        if "soak" in parts:
            _soak(site, load, min(asked.rate, best) / 2, found)


def error_rate(one: dict[str, Any]) -> float:
    """Of all that was asked: wrong answers, lost ones, and those that were turned away."""
    bad = sum(one["wrong"].values()) + one["shed"]["count"]
    asked = one["all"]["count"] + bad
    return bad / asked if asked else 1.0


def _three(one: dict[str, float]) -> list[str]:
    return [f"{one[name]:.1f}" for name in ("p50", "p95", "p99")]


def _note_problems(site: Site, part: str, one: dict[str, Any], found: Found) -> None:
    for what, count in one["wrong"].items():
        found.problems.append([str(site.setup), part, what, f"{count:,}", one["examples"].get(what, "")[-80:]])


# --- steady -----------------------------------------------------------------------------------------------------------


def _steady(site: Site, load: Load, connections: int, found: Found) -> None:
    asked, name = options.chosen, f"{connections:,}"
    load.run((asked.rate / 2, 3), (asked.rate, 3 if asked.quick else WARM))
    before, busy, sizes = Counters(site.server.port), processor(site.server.family), []

    def watch() -> None:
        for _ in range(2):
            time.sleep(asked.seconds / 2.1)
            sizes.append(memory(site.server.family))

    answer = load.run_beside([(asked.rate, asked.seconds)], watch)
    spent, after = processor(site.server.family) - busy, Counters(site.server.port)
    one, cost = answer["segments"][0], answer["generator"]
    figures = [f"{one['all']['count'] / cost['seconds']:,.0f}", *_three(one["all"]), f"{one['all']['max']:.0f}"]
    shares = [f"{error_rate(one):.3%}", f"{spent / cost['seconds']:.0%}", f"{cost['cpu'] / cost['seconds']:.0%}"]
    found.steady.append([str(site.setup), name, *figures, *shares])
    ran, rate = after.statements(before), after.hit_rate(before)
    sums = [f"{max(size[place] for size in sizes):.0f}" for place in (0, 1)]
    hits = "-" if rate is None else f"{rate:.1%}"
    statements = [f"{ran.count / cost['seconds']:,.0f}", f"{ran.mean:.2f}", f"{ran.p99:.1f}"]
    found.footprint.append([str(site.setup), name, *sums, hits, *statements])
    found.hits.append([str(site.setup), name, *(f"{kind} {share:.1%}" for kind, share in after.kinds(before).items())])
    for kind, row in (*one["groups"].items(), *_inside(one)):
        found.kinds.append([str(site.setup), name, kind, f"{row['count']:,}", *_three(row), f"{row['max']:.0f}"])
    _note_problems(site, "steady", one, found)


def _inside(one: dict[str, Any]) -> list[tuple[str, dict[str, float]]]:
    return [(f"- {name}", row) for name, row in one["kinds"].items() if name not in one["groups"]]


def _costs(site: Site, found: Found) -> None:
    """Which kind of request takes the processor: each alone in a closed loop, weighed by its share of the mix."""
    spent = {}
    for kind in SHARES:
        with loading(site.server.port, 8, facts=site.facts, only=kind) as load:
            load.run((0.0, 0.5))
            busy = processor(site.server.family)
            one = load.run((0.0, 1.0 if options.chosen.quick else 3.0))["segments"][0]
            spent[kind] = (processor(site.server.family) - busy) / max(1, one["all"]["count"]) * 1e3
            _note_problems(site, "costs", one, found)
    whole = sum(SHARES[kind] * each for kind, each in spent.items())
    for kind, each in spent.items():
        share = SHARES[kind] * each / whole
        found.costs.append([str(site.setup), kind, f"{SHARES[kind]:.0%}", f"{each:.2f}", f"{share:.0%}"])
    found.costs.append([str(site.setup), "the mix", "100%", f"{whole:.2f}", f"{1_000 / whole:,.0f} a second, per core"])


# --- ramp, spike, overload --------------------------------------------------------------------------------------------


def _ramp(site: Site, load: Load, found: Found) -> float:
    """The highest rate that held, 0 when none did; a step that breaks is tried once more, lest it was the machine."""
    rate, best = FIRST_STEP, 0.0
    while rate >= LEAST_STEP:
        if _holds(site, load, rate, found) or _holds(site, load, rate, found):
            best, rate = rate, rate * STEP
        elif best:
            break
        else:
            rate /= 2
    return best


def _holds(site: Site, load: Load, rate: float, found: Found) -> bool:
    one = load.run((rate, 3.0 if options.chosen.quick else 6.0))["segments"][0]
    held = one["all"]["p99"] <= MOST_P99 and error_rate(one) <= MOST_ERRORS
    figures = [f"{rate:,.0f}", *_three(one["all"]), f"{error_rate(one):.2%}", "held" if held else "broke"]
    found.ramp.append([str(site.setup), *figures])
    return held


def _recovered(slots: list[list[float]], begin: float) -> str:
    """Seconds after ``begin`` (of the segment's slots) until all later ones keep the levels."""
    late = [at for at, answered, shed, failed, p99 in slots if at >= begin and not _keeps(answered, shed, failed, p99)]
    return f"{(late[-1] + 0.5 - begin) if late else 0.0:.1f}"


def _keeps(answered: float, shed: float, failed: float, p99: float) -> bool:
    return shed + failed <= MOST_ERRORS * answered and p99 <= MOST_P99


def _spike(site: Site, load: Load, base: float, found: Found) -> None:
    segments = load.run((base, 5), (base * 3, 5), (base, 10))["segments"]
    for name, times, one in zip(("before", "spike", "after"), (1, 3, 1), segments, strict=True):
        back = _recovered(one["slots"], 0.0) if name == "after" else ""
        figures = [f"{base * times:,.0f}", *_three(one["all"]), f"{one['shed']['count']:,}", f"{error_rate(one):.2%}"]
        found.bursts.append([str(site.setup), name, *figures, back])
    for one in segments:
        _note_problems(site, "spike", one, found)


def _overload(site: Site, load: Load, best: float, found: Found) -> None:
    seconds = 5.0 if options.chosen.quick else 15.0
    _, one, after = load.run((best / 2, 3), (best * 2, seconds), (best / 2, 15))["segments"]
    asked = one["all"]["count"] + one["shed"]["count"] + sum(one["wrong"].values())
    told = one["shed"]["told_when"] / one["shed"]["count"] if one["shed"]["count"] else 1.0
    figures = [f"{best * 2:,.0f}", f"{asked:,}", f"{one['all']['count'] / seconds:,.0f}"]
    figures += [f"{one['shed']['count'] / asked:.1%}", f"{told:.0%}", f"{sum(one['wrong'].values()) / asked:.2%}"]
    figures += [*_three(one["sent"]), f"{one['all']['p99']:.0f}", _recovered(after["slots"], 0.0)]
    found.overload.append([str(site.setup), *figures])
    for name, part in (("overload", one), ("after overload", after)):
        _note_problems(site, name, part, found)


# --- soak -------------------------------------------------------------------------------------------------------------


def _soak(site: Site, load: Load, rate: float, found: Found) -> None:
    seconds, began = options.chosen.minutes * 60, memory(site.server.family)[0]
    faults = _faults(site) if options.chosen.faults else []
    moments = [seconds * (place + 1) / (len(faults) + 1) for place in range(len(faults))]

    def harm() -> None:
        for (_, fault), (last, moment) in zip(faults, pairwise([0.0, *moments]), strict=True):
            time.sleep(moment - last)
            fault()

    one = load.run_beside([(rate, seconds)], harm)["segments"][0]
    names = "; ".join(f"{name} at {at:.0f} s" for (name, _), at in zip(faults, moments, strict=True)) or "none"
    size = f"{began:.0f} to {memory(site.server.family)[0]:.0f}"
    figures = [f"{rate:,.0f}", f"{seconds / 60:.1f}", names, *_three(one["all"]), f"{1 - error_rate(one):.3%}", size]
    found.soak.append([str(site.setup), *figures])
    _note_problems(site, "soak", one, found)


def _faults(site: Site) -> list[tuple[str, Any]]:
    faults: list[tuple[str, Any]] = [("a worker killed", site.kill_a_worker)] if site.setup.workers > 1 else []
    if site.redis is not None:
        faults += [("Redis killed", site.redis.kill), ("Redis back", site.redis.start)]
    return faults


# --- tables -----------------------------------------------------------------------------------------------------------


def _tables(found: Found) -> list[Table]:
    rate, first = f"{options.chosen.rate:,.0f}", options.chosen.connections[0]
    warm = 3 if options.chosen.quick else WARM
    clock = f"{options.chosen.seconds:.0f} s after {warm:.0f} s of the same; latencies from the intended arrival. "
    clock += "CPU: of one core."
    times = "P50 ms | P95 ms | P99 ms"
    shed = "Sent-to-answered latencies of what was admitted; the last P99 counts from the intended arrival."
    every = [
        (f"Steady at {rate} requests/s of the mix", STEADY, found.steady, clock),
        ("The service meanwhile", FOOTPRINT, found.footprint, "RSS and PSS of the parent and all workers."),
        ("By kind of request", f"set-up | connections | kind | count | {times} | max ms", found.kinds, ""),
        ("Cache hits by kind", "set-up | connections | by kind", _joined(found.hits), "In memory or in Redis."),
        ("Processor time by kind", "set-up | kind | of the mix | CPU ms a request | of the time", found.costs,
         "The server's processes alone; each kind by itself, 8 connections in a closed loop, the cache as the "
         "steady run left it."),
        ("Ramp to the breaking point", f"set-up | requests/s | {times} | errors | ", found.ramp,
         f"{first:,} connections; broke: P99 over {MOST_P99:.0f} ms or more than {MOST_ERRORS:.1%} errors."),
        ("Spike: three times as many for 5 s", f"set-up | | requests/s | {times} | shed | errors | s until levels hold",
         found.bursts, ""),
        ("Twice the breaking point", "set-up | requests/s | asked | admitted/s | shed with 503 | of them with "
         f"Retry-After | wrong or lost | {times} | P99 from arrival | s to recover", found.overload, shed),
        ("Soak", f"set-up | requests/s | minutes | faults | {times} | right answers | RSS MB", found.soak, ""),
        ("What went wrong", "set-up | part | what | times | example", found.problems, ""),
    ]  # fmt: skip
    return [Table(title, _columns(columns), rows, note) for title, columns, rows, note in every if rows]


def _columns(text: str) -> list[str]:
    return [part.strip() for part in text.split("|")]


def _joined(rows: list[list[str]]) -> list[list[str]]:
    return [[*row[:2], ", ".join(row[2:])] for row in rows]
