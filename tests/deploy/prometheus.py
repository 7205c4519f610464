"""A real Prometheus for tests, and what is asked of it."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from tests.servers import PATIENCE, ROOT, Missing, child, free_port

DEPLOY = ROOT / "deploy"
MISSING = "no Prometheus on this machine (Debian, Ubuntu: apt-get install prometheus)"


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Missing(MISSING)
    return found


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running one; its address has no slash at the end."""

    url: str

    def get(self, path: str, **asked: str) -> Any:
        """What its API answers; a query that it refuses is an error."""
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urlencode(asked)}", timeout=PATIENCE) as answer:
            body = json.load(answer)
        assert body["status"] == "success", body
        return body["data"]

    def query(self, expression: str) -> list[Any]:
        """The series that a query finds now."""
        found: list[Any] = self.get("query", query=expression)["result"]
        return found

    def wait_for(self, expression: str) -> None:
        """Until the query finds something."""
        deadline = time.monotonic() + PATIENCE
        while not self.query(expression):
            assert time.monotonic() < deadline, f"{expression} found nothing: {self.get('targets')}"
            time.sleep(0.05)


def configuration(folder: Path, target: str) -> Path:
    """Ours, on another target, and with no time to lose."""
    config: Any = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "prometheus" / "alerts.yml")]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """Scrapes the target (host and port) every second, and evaluates our rules."""
    port = free_port()
    command = [program("prometheus"), f"--config.file={configuration(folder, target)}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with child([*command, "--log.level=warn"], folder, lambda: _is_ready(port)):
        yield Prometheus(f"http://127.0.0.1:{port}")
