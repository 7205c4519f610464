"""How near does a served prompt come to what the HTTP server can do with an application that does nothing?

Asked by wrk where it is installed, else by our own generator (which then takes part of what the two cores can do):
32 connections in a closed loop, the two in turn, so that both see the same machine.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import statistics
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import options
from bench.driving import ROOT, loading
from bench.load.mix import http
from bench.processes import Running, processor, running
from bench.served_site import Setup, served
from bench.table import Table
from tests.servers import free_port

CONNECTIONS, NAMES, ROUNDS = 32, 500, 5


@dataclass(frozen=True, slots=True)
class Taken:
    """Requests a second, and microseconds of the server's processor time for each."""

    rate: float
    microseconds: float


def run() -> list[Table]:
    seconds = 2 if options.chosen.quick else 5
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="autoforge-bench-")))
        port = free_port()
        command = [sys.executable, "-m", "bench.bare", str(port)]
        bare = stack.enter_context(running(command, port, folder, {"PYTHONPATH": str(ROOT)}))
        site = stack.enter_context(served(Setup("sqlite", 1)))
        facts = json.loads(site.facts.read_text())
        paths = [f"/api/v1/prompts/served/{name}@production" for name, _ in facts["prompts"][:NAMES]]
        bares, ours = [], []
        for server, asked in ((bare, ["/"]), (site.server, paths)):
            _closed(server, asked, facts["admin"], 1, folder)  # warm
        for _ in range(ROUNDS):
            bares.append(_closed(bare, ["/"], facts["admin"], seconds, folder))
            ours.append(_closed(site.server, paths, facts["admin"], seconds, folder))
    return [_table(bares, ours)]


def _table(bares: list[Taken], ours: list[Taken]) -> Table:
    shares = [one.rate / limit.rate for one, limit in zip(ours, bares, strict=True)]
    rows = [_row("bare ASGI application", bares, ""), _row("prompt by label, of 500", ours, _spread(shares, "{:.0%}"))]
    who = "wrk -t1" if shutil.which("wrk") else "our own generator"
    note = (
        f"{who} -c{CONNECTIONS}, one worker each, in turn, median of {ROUNDS} (least to most). "
        "Ours with key, limits, and a log line for every request."
    )
    columns = ["", "requests/s", "server CPU µs a request", "of the limit"]
    return Table("Against the limit: granian", columns, rows, note)


def _row(name: str, taken: list[Taken], share: str) -> list[str]:
    rates, costs = [one.rate for one in taken], [one.microseconds for one in taken]
    return [name, _spread(rates, "{:,.0f}"), _spread(costs, "{:.0f}"), share]


def _spread(values: list[float], shape: str) -> str:
    middle, least, most = (shape.format(value) for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least} to {most})"


def _closed(server: Running, paths: list[str], key: str, seconds: float, folder: Path) -> Taken:
    before = processor(server.family)
    ask = _wrk if shutil.which("wrk") else _generator
    rate = ask(server.port, paths, key, seconds, folder)
    return Taken(rate, (processor(server.family) - before) / max(1.0, rate * seconds) * 1e6)


def _wrk(port: int, paths: list[str], key: str, seconds: float, folder: Path) -> float:
    script, listed = folder / "asked.lua", ", ".join(f'"{path}"' for path in paths)
    script.write_text(
        f'local paths = {{{listed}}}\nlocal n = 0\nwrk.headers["Authorization"] = "Bearer {key}"\n'
        "request = function() n = n % #paths + 1 return wrk.format(nil, paths[n]) end\n"
    )
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "-s", str(script), f"http://127.0.0.1:{port}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(text)
    found = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert found is not None, text
    return float(found[1])


def _generator(port: int, paths: list[str], key: str, seconds: float, folder: Path) -> float:
    requests = [base64.b64encode(http("GET", path, key)).decode() for path in paths]
    kind: dict[str, Any] = {"name": "asked", "status": "200", "marker": "", "requests": requests}
    plan = folder / "requests.json"
    plan.write_text(json.dumps([kind]))
    with loading(port, CONNECTIONS, requests=plan) as load:
        one = load.run((0.0, seconds))["segments"][0]
    if one["wrong"] or one["shed"]["count"]:
        raise RuntimeError(str(one["wrong"]))
    return float(one["all"]["count"]) / seconds
