"""The generator's process: one JSON line tells it what to ask of whom, each further line which segments to run.

First ``{"host", "port", "connections", "patience", "facts": PATH | "requests": PATH, "only": KIND}``, then as often as
wanted ``[[rate, seconds, most], ...]``; each is answered by one JSON line of figures.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
from pathlib import Path
from typing import Any

from bench.load.generator import Generator
from bench.load.mix import Fixed, Mix, Requests


def _requests(plan: dict[str, Any]) -> Requests:
    if "facts" in plan:
        return Mix(json.loads(Path(plan["facts"]).read_text()), only=plan.get("only", ""))
    return Fixed(json.loads(Path(plan["requests"]).read_text()))


def _allow_files() -> None:
    """A connection is an open file, and many systems allow 1,024 of them unless asked."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    _allow_files()
    plan = json.loads(sys.stdin.readline())
    address = (plan["host"], plan["port"])
    generator = Generator(address, plan["connections"], _requests(plan), plan.get("patience", 10.0))
    gc.collect()
    gc.freeze()
    gc.disable()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        segments = [(rate, seconds, most) for rate, seconds, most in json.loads(line)]
        print(json.dumps(generator.run(segments)), flush=True)


if __name__ == "__main__":
    main()
