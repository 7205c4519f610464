"""Links of the command line lead to a server that is there."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from autoforge.cli import autoforge
from autoforge.cli.entering import keep_address, kept_address, live_addresses
from autoforge.operations import noticed
from autoforge.settings import Settings
from tests import servers

A, B = "http://127.0.0.1:8001", "http://127.0.0.1:8002"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / noticed.FOLDER).mkdir()
    return Settings(data=tmp_path)


def _tell(settings: Settings, address: str, *, name: str = "elsewhere-1", **about: Any) -> Path:
    """The file of a server that is alive."""
    process = {"name": name, "pid": 1, "role": "server", "version": "1", "address": address, "memory": None}
    nothing = {"waits": [], "refused": 0, "waiting": 0}
    told = {
        "format": noticed.VERSION,
        "process": {**process, "started_at": 1.0, "at": time.time(), **about},
        "statements": {"since": 1.0, "forgotten": 0, "shapes": []},
        "n_plus_one": {"looked_at": 0, "every": 10, "findings": []},
        "pools": {"places": 4, "used": 0, "writer": None, **nothing},
        "cache": {"kinds": {}, "entries": 0, "bytes": 0, "evicted": 0, "far": None},
    }
    file = settings.data / noticed.FOLDER / f"{name}.json"
    file.write_bytes(msgspec.json.encode(told))
    return file


def test_an_address_is_that_of_a_server_that_lives(settings: Settings) -> None:
    assert kept_address(settings) == "http://127.0.0.1:8000"
    keep_address(settings, B)
    assert kept_address(settings) == B
    _tell(settings, A)
    assert kept_address(settings) == A  # the second server is gone, and with it the address that it noted
    second = _tell(settings, B, name="elsewhere-2", started_at=2.0)
    assert kept_address(settings) == B
    second.unlink()
    assert kept_address(settings) == A


def test_a_process_of_this_machine_that_was_killed_is_not_alive(settings: Settings) -> None:
    gone = 2**22 + 1  # above the largest process id
    _tell(settings, A, name=f"{socket.gethostname()}-{gone}", pid=gone)
    assert live_addresses(settings.data) == []
    _tell(settings, A, name=f"{socket.gethostname()}-{os.getpid()}", pid=os.getpid())
    assert live_addresses(settings.data) == [A]


def test_a_second_server_says_that_there_is_a_first_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with servers.serve(data) as first:
        with servers.serve(data) as second:
            assert f"a server at {first.url} uses the data directory {data} already" in second.log.read_text()
            assert kept_address(Settings(data=data)) == second.url
        assert "already" not in first.log.read_text()
        assert kept_address(Settings(data=data)) == first.url
        said = CliRunner().invoke(autoforge, ["users", "link", "--data", str(data)])
        assert said.output.startswith(f"{first.url}/sign-in#token=")
    assert kept_address(Settings(data=data)) == second.url
