"""Files that are mapped have their room on the disk before: where there is none, it is an error and not a SIGBUS."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autoforge.cache import Stamps
from autoforge.db.turns import open_turns
from autoforge.errors import AutoforgeError
from autoforge.telemetry.cells import Cells
from autoforge.telemetry.disk import reserve

SIZE = 1_000_000


@pytest.fixture(params=["fallocate", "not supported", "macOS"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systems with the call, with it but not for this file system, and without it."""

    def refuse(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    if request.param == "macOS":
        monkeypatch.delattr(os, "posix_fallocate")
    elif request.param == "not supported":
        monkeypatch.setattr(os, "posix_fallocate", refuse)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def has_room(path: Path) -> bool:
    """Whether no part of the file lacks its blocks; what a file system holds back is written out first."""
    with opened(path) as descriptor:
        os.fsync(descriptor)
    found = path.stat()
    return found.st_blocks * 512 >= found.st_size


def test_a_new_file_has_its_room(system: None, tmp_path: Path) -> None:
    path = tmp_path / "new"
    with opened(path) as descriptor:
        reserve(descriptor, SIZE)
    assert path.read_bytes() == bytes(SIZE)
    assert has_room(path)


def test_a_sparse_file_gets_its_room_and_keeps_what_it_says(system: None, tmp_path: Path) -> None:
    path = tmp_path / "old"
    with opened(path) as descriptor:
        os.ftruncate(descriptor, SIZE)
        os.pwrite(descriptor, b"\1" * 5_000, 300_001)
        before = path.read_bytes()
        reserve(descriptor, SIZE)
    assert path.read_bytes() == before
    assert has_room(path)


def test_what_processes_map_has_its_room(system: None, tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    os.truncate(tmp_path / "old", 1_048_592)  # as the stamps were made before
    new, old, cells = Stamps(tmp_path / "new"), Stamps(tmp_path / "old"), Cells(tmp_path / "1")
    turns = open_turns(tmp_path / "a.db")
    if turns is not None:
        turns.close()
    for one in (new, old, cells):
        one.close()
    assert {path.name for path in tmp_path.iterdir() if not has_room(path)} == set()


def test_stamps_that_cannot_be_made_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AutoforgeError, match=r"cannot be made, .*: Is a directory\. Make room or give access"):
        Stamps(tmp_path)
