"""Prints the figures of every ``bench/bench_*.py``, or of those named: ``python -m bench.run writers lists --quick``.

A measurement is a module with one function ``run() -> list[Table]``. A module that fails is reported at the end, and
does not keep the others from running.
"""

from __future__ import annotations

import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

from bench import options
from bench.machine import described

PREFIX = "bench_"
ON_REQUEST = {"peers"}
"""Measurements that run only when they are named: they download other people's products."""


def measurements() -> list[str]:
    """The names that can be asked for: ``database`` for ``bench_database.py``."""
    return sorted(path.stem.removeprefix(PREFIX) for path in Path(__file__).parent.glob(f"{PREFIX}*.py"))


def _print_tables(name: str) -> bool:
    began = time.monotonic()
    try:
        for table in import_module(f"bench.{PREFIX}{name}").run():
            print(f"\n{table}", flush=True)
    except Exception:
        traceback.print_exc()
        return False
    print(f"\n({name}: {time.monotonic() - began:.0f} s)", flush=True)
    return True


def main(arguments: list[str]) -> int:
    options.read(arguments)
    known, names = measurements(), options.chosen.names
    if unknown := sorted(set(names) - set(known)):
        print(f"There is no measurement {', '.join(unknown)}; there are: {', '.join(known) or 'none yet'}.")
        return 2
    print(described(), flush=True)
    if options.chosen.quick:
        print("Quick: these runs are too short for figures to keep.", flush=True)
    wanted = names or [name for name in known if name not in ON_REQUEST]
    failed = [name for name in wanted if not _print_tables(name)]
    if failed:
        print(f"\nFailed: {', '.join(failed)}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
