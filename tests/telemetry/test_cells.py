"""Counting in files that several processes share: nothing is lost when one dies, and all begin anew together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from autoforge.telemetry.cells import Cells, Counted, Slot
from tests.servers import ROOT

SERIES = ("autoforge_jobs_enqueued_total", "a")

COUNTING = """
import sys
from pathlib import Path
from autoforge.telemetry.cells import Slot

slot = Slot(Path(sys.argv[1]))
slot.cells.values[slot.cells.place(("autoforge_jobs_enqueued_total", "a"), 1)] += float(sys.argv[2])
print(slot.number, flush=True)
sys.stdin.read()
"""


def counting(folder: Path, amount: int) -> tuple[subprocess.Popen[str], int]:
    """Another process that has counted, and its number; it holds its place until it is killed."""
    command = [sys.executable, "-c", COUNTING, str(folder), str(amount)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def total(counted: list[Counted]) -> float:
    return sum(one.values[one.places[SERIES]] for one in counted if SERIES in one.places)


def test_a_series_keeps_its_place() -> None:
    cells = Cells()
    first, second = cells.place(("a",), 3), cells.place(("b", "x"), 1)
    assert second == first + 3
    assert cells.place(("a",), 3) == first
    cells.close()


def test_what_does_not_fit_harms_no_other_series() -> None:
    cells = Cells()
    first = cells.place(("a",), 1)
    places = {cells.place((f"series {number}",), 1_000) for number in range(70)}
    assert 0 in places  # the rest
    assert first not in places
    cells.close()


def test_one_process_sees_what_all_have_counted(tmp_path: Path) -> None:
    slot = Slot(tmp_path)
    slot.cells.values[slot.cells.place(SERIES, 1)] += 1
    process, number = counting(tmp_path, 10)
    try:
        assert (slot.number, number) == (1, 2)
        assert total(list(slot.all())) == 11
        assert [one.alive for one in slot.all()] == [True, True]
    finally:
        kill(process)
    assert [one.alive for one in slot.all()] == [True, False]
    assert total(list(slot.all())) == 11  # it did happen
    again, number = counting(tmp_path, 100)
    try:
        assert number == 2
        assert total(list(slot.all())) == 111
    finally:
        kill(again)
        slot.close()


def test_the_first_of_all_begins_anew(tmp_path: Path) -> None:
    process, _ = counting(tmp_path, 10)
    kill(process)
    slot = Slot(tmp_path)
    assert total(list(slot.all())) == 0
    slot.close()


def test_a_full_disk_costs_new_series_and_nothing_else(tmp_path: Path) -> None:
    slot = Slot(tmp_path)
    slot.cells.values[slot.cells.place(SERIES, 1)] += 5
    full = slot.cells._names
    slot.cells._names = os.open("/dev/full", os.O_WRONLY)
    try:
        assert slot.cells.place(("autoforge_jobs_started_total", "b"), 1) == 0
    finally:
        os.close(slot.cells._names)
        slot.cells._names = full
    assert slot.cells.place(("autoforge_jobs_started_total", "b"), 1) > 0
    assert total(list(slot.all())) == 5
    slot.close()


def test_a_line_that_was_not_finished_is_cut_off(tmp_path: Path) -> None:
    other = Slot(tmp_path)
    process, number = counting(tmp_path, 10)
    kill(process)
    with (tmp_path / f"{number}.names").open("a") as names:
        names.write('[65, 1, "half')
    assert total(list(other.all())) == 10
    slot = Slot(tmp_path)
    slot.cells.values[slot.cells.place(("autoforge_jobs_started_total", "b"), 1)] += 3
    (again,) = (one for one in other.all() if one.number == number)
    assert again.values[again.places["autoforge_jobs_started_total", "b"]] == 3
    assert total(list(other.all())) == 10
    slot.close()
    other.close()
