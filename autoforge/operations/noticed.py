"""What a process noticed of itself, as it stands in a file for the other processes of a data folder.

The file is small JSON of the one shape below, marked with a version: whoever reads it skips what another version wrote
(both run side by side during a reload), and whatever else lies in the folder.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal, TypedDict

import msgspec

FOLDER = "processes"
"""In the data folder."""
FRESH = 20.0
"""Seconds after which a file that was not written again is that of a process that ended."""
ADDRESS = "AUTOFORGE_SERVED_AT"
"""The variable that tells the workers of a server where people find it; no setting."""
VERSION = 1
"""Another number for each change of the shape below."""

Waits = list[tuple[float | None, float]]
"""A histogram: the upper bound of each bucket in seconds (None: no bound), and how many there were."""


class Process(TypedDict):
    """``role`` is server or worker; times in seconds since 1970, ``memory`` in bytes.

    ``address`` is where people find the server; "" for workers.
    """

    name: str
    pid: int
    role: str
    version: str
    address: str
    started_at: float
    at: float
    memory: int | None


class Shape(TypedDict):
    """A statement without what changes from call to call; times in seconds. See :mod:`autoforge.telemetry.slow`."""

    key: str
    name: str
    sql: str
    example: str
    dialect: str
    count: int
    errors: int
    seconds: float
    slowest: float
    rows: int
    last_seen: float
    routes: dict[str, int]
    buckets: dict[str, int]


class Statements(TypedDict):
    since: float
    forgotten: int
    shapes: list[Shape]


class Repeated(TypedDict):
    """A statement that is asked for every row. See :mod:`autoforge.telemetry.n_plus_one`."""

    route: str
    shape: str
    statement: str
    line: str
    callers: list[str]
    requests: int
    most: int
    last_seen: float


class Repetitions(TypedDict):
    looked_at: int
    every: int
    findings: list[Repeated]


class Writer(TypedDict):
    waiting: int
    commits: int
    blocks: int
    refused: int
    waits: Waits


class Pools(TypedDict):
    """``writer`` on SQLite only."""

    places: int
    used: int
    waiting: int
    refused: int
    waits: Waits
    writer: Writer | None


class Counts(TypedDict):
    """Of one kind of cached value."""

    hits: int
    misses: int
    loads: int
    far_hits: int
    shared: int
    renewed: int
    seconds: float


class Far(TypedDict):
    up: bool
    connections: int
    failures: int
    untold: int


class Cached(TypedDict):
    """``far`` where there is Redis."""

    kinds: dict[str, Counts]
    entries: int
    bytes: int
    evicted: int
    far: Far | None


class Snapshot(TypedDict):
    """All that a process tells of itself."""

    format: Literal[1]
    process: Process
    statements: Statements
    n_plus_one: Repetitions
    pools: Pools
    cache: Cached


_READER = msgspec.json.Decoder(Snapshot)


def read(data: Path, *, tidy: bool = False) -> list[Snapshot]:
    """What the processes of a data folder that are alive wrote last, by name; with ``tidy`` old files are removed."""
    found, now = [], time.time()
    for file in sorted((data / FOLDER).glob("*.json")):
        try:
            if now - file.stat().st_mtime <= FRESH:
                found.append(_READER.decode(file.read_bytes()))
            elif tidy:
                file.unlink(missing_ok=True)
        except (OSError, UnicodeError, msgspec.DecodeError):  # it is ending just now, or not of this version
            continue
    return found
