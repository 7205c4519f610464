"""Finds requests that ask the same statement again and again, one row at a time, and the line that does it.

One request in so many is looked at (:attr:`Watch.every`). In it each shape of statement is counted; one that comes
back :data:`LEAST` times with other parameters is a finding, and where it was called from is read off the frames that
are running: no traceback is made, and only once per request and shape. What moves many rows at a time (an upsert in
batches) has many parameters, and is none.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from autoforge.telemetry.slow import SLOW, Ran, Shape
from autoforge.telemetry.work import CURRENT, Work

LEAST = 5
MOST_FINDINGS = 100
_MOST_PARAMETERS = 64
_CALLERS = 3
_PACKAGE = Path(__file__).resolve().parents[1]
_ROOT = str(_PACKAGE.parent) + "/"
_BELOW = tuple(str(_PACKAGE / name) + "/" for name in ("db", "telemetry"))
_LIBRARIES = ("/site-packages/", "/dist-packages/", f"/python{sys.version_info[0]}.{sys.version_info[1]}/", "<")
_COMPREHENSION = re.compile(r"(\.<locals>)?\.<(listcomp|setcomp|dictcomp|genexpr|lambda)>")


@dataclass(slots=True)
class Finding:
    """``line`` is where the statement was called, ``callers`` who called that, innermost first.

    ``requests`` of those that were looked at did it, with ``most`` statements in one of them.
    """

    route: str
    shape: str
    statement: str
    line: str
    callers: tuple[str, ...]
    requests: int = 0
    most: int = 0
    last_seen: float = 0.0


class Watch:
    """The findings of one process. ``every``: one request in so many is looked at; 0: none."""

    def __init__(self, every: int = 10, clock: Callable[[], float] = time.time) -> None:
        self.every, self._clock = every, clock
        self.findings: dict[tuple[str, str, str], Finding] = {}
        self.looked_at = 0
        self._turn = 0

    def chosen(self) -> dict[Any, list[Any]] | None:
        """Where the statements of the next request are collected, None when it is not looked at."""
        self._turn += 1
        if not self.every or self._turn % self.every:
            return None
        self.looked_at += 1
        return {}

    @staticmethod
    def saw(work: Work, shape: Shape, ran: Ran) -> None:
        """A statement of a request that is looked at."""
        asked, bound = work.asked, ran.bound
        if asked is None or not bound or len(bound) > _MOST_PARAMETERS:
            return
        told = asked.get(shape)
        if told is None:
            asked[shape] = [1, bound]
        elif bound != told[1]:
            told[0] += 1
            told[1] = bound
            if told[0] == LEAST:
                if work.suspects is None:
                    work.suspects = []
                work.suspects.append((shape, told, lines()))

    def finished(self, work: Work) -> None:
        """The request is over: what it repeated is written down."""
        for shape, (number, _), (line, *callers) in work.suspects or ():
            key = (work.name or work.find_name(), shape.key, line)
            finding = self.findings.pop(key, None) or Finding(key[0], shape.key, shape.name, line, tuple(callers))
            finding.requests += 1
            finding.most = max(finding.most, number)
            finding.last_seen = self._clock()
            self.findings[key] = finding  # the one that was seen last is the last
            if len(self.findings) > MOST_FINDINGS:
                del self.findings[next(iter(self.findings))]

    def told(self) -> list[dict[str, Any]]:
        return [asdict(finding) for finding in self.findings.values()]

    def clear(self) -> None:
        self.findings.clear()
        self.looked_at = 0


WATCH = Watch()


def lines() -> list[str]:
    """Who is asking the database: ``file:line function``, the innermost frame above it first."""
    frame: FrameType | None = sys._getframe(1)
    found: list[str] = []
    last: tuple[str, int] | None = None
    while frame is not None and len(found) <= _CALLERS:
        file = frame.f_code.co_filename
        place = (file, frame.f_lineno)
        if place != last and not file.startswith(_BELOW) and not any(part in file for part in _LIBRARIES):
            found.append(f"{file.removeprefix(_ROOT)}:{place[1]} {_named(frame.f_code.co_qualname)}")
            last = place
        frame = frame.f_back
    return found or ["unknown"]


def _named(function: str) -> str:
    """The function as one would name it: a comprehension is part of the function that it stands in."""
    return _COMPREHENSION.sub("", function).replace(".<locals>", "")


def saw(ran: Ran) -> None:
    """Each statement comes here: the hook for :func:`autoforge.db.trace.add_hook`."""
    work = CURRENT.get()
    shape = SLOW.record(ran, work)
    if work is not None and work.asked is not None:
        WATCH.saw(work, shape, ran)


def merged(every: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What several processes found, as if it had been one; the most requests first."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for told in every:
        for one in told:
            key = (one["route"], one["shape"], one["line"])
            known = found.setdefault(key, {**one, "requests": 0})
            known["requests"] += one["requests"]
            known["most"] = max(known["most"], one["most"])
            known["last_seen"] = max(known["last_seen"], one["last_seen"])
    return sorted(found.values(), key=lambda one: (-one["requests"] * one["most"], one["line"]))
