"""What the command line asked for, besides names; a measurement reads of it what concerns it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field

PARTS = ("steady", "costs", "ramp", "spike", "overload", "soak")


@dataclass(slots=True)
class Options:
    """``minutes``, ``rate``, ``workers`` and so on are for ``levels``; ``quick`` is for all."""

    names: list[str] = field(default_factory=list)
    quick: bool = False
    databases: list[str] = field(default_factory=lambda: ["sqlite", "postgresql"])
    workers: list[int] = field(default_factory=lambda: [1])
    connections: list[int] = field(default_factory=lambda: [1_000, 2_000])
    parts: list[str] = field(default_factory=lambda: list(PARTS))
    rate: float = 1_000.0
    seconds: float = 60.0
    minutes: float = 1.0
    faults: bool = False
    peers: list[str] = field(default_factory=lambda: ["phoenix", "mlflow"])


chosen = Options()


def read(arguments: Sequence[str]) -> None:
    """Fills :data:`chosen`; ends the process with a message when the arguments are wrong."""
    parser = argparse.ArgumentParser(prog="script/bench", description="Print the tables of bench/, all or those named.")
    parser.add_argument("names", nargs="*", help="which measurements (default: all but peers)")
    parser.add_argument("--quick", action="store_true", help="short runs that prove that it works; no figures to keep")
    levels = parser.add_argument_group("levels")
    levels.add_argument("--databases", nargs="+", choices=("sqlite", "postgresql"))
    levels.add_argument("--workers", nargs="+", type=int, help="processes of the server, one run for each")
    levels.add_argument("--connections", nargs="+", type=int, help="open connections, a steady run for each")
    levels.add_argument("--parts", nargs="+", choices=PARTS)
    levels.add_argument("--rate", type=float, help="requests a second of the steady run")
    levels.add_argument("--seconds", type=float, help="of the steady run")
    levels.add_argument("--minutes", type=float, help="of the soak")
    levels.add_argument("--faults", action="store_true", help="kill a worker and Redis during the soak")
    parser.add_argument("--peers", nargs="+", choices=("phoenix", "mlflow"), help="peers: which of them")
    for name, value in vars(parser.parse_args(arguments)).items():
        if value is not None:
            setattr(chosen, name, value)
    if chosen.quick:
        chosen.seconds, chosen.minutes = min(chosen.seconds, 10.0), min(chosen.minutes, 0.3)
