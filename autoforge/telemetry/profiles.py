"""Profiles on demand: what one request, one job or the server spends its time on, function by function.

While nobody asks, nothing is loaded and nothing is looked at. A profile looks at the stack every millisecond (or ten),
follows a request or job through its awaits, and ends by itself after a while. One at a time. What comes out is pruned
to a bounded tree and kept as a file in the data folder; the last twenty stay. An order ("the next run of this task")
is a file as well, so that whichever process runs it next can take it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from pyinstrument import Profiler
    from pyinstrument.frame import Frame
    from pyinstrument.session import Session

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

KINDS = ("request", "server", "job")
KEPT = 20
MOST_NODES = 2_000
LEAST_SHARE = 0.002
"""Of the whole; what took less is part of who called it."""
LONGEST = 60
ORDER_SECONDS = 3_600
"""An order that nobody could carry out until then is forgotten."""
_INTERVALS = {"request": 0.001, "server": 0.005, "job": 0.005}
_ORDER = "order.json"

Tree = dict[str, Any]


class Running:
    """A profile that is being made. :meth:`stop` in the thread that began it; more than once does no harm."""

    def __init__(self, desk: Profiles, kind: str, what: str, by: str) -> None:
        from pyinstrument import Profiler

        self.kind, self.what, self.by = kind, what, by
        self.id = f"{time.time_ns() // 1_000_000:013x}"
        self._desk = desk
        mode: Any = "disabled" if kind == "server" else "enabled"
        self._profiler: Profiler = Profiler(interval=_INTERVALS[kind], async_mode=mode)
        self._profiler.start()

    def stop(self) -> None:
        if self._profiler.is_running:
            session = self._profiler.stop()
            self._desk.finished(self, session)


class Profiles:
    """The desk of one process; :meth:`open` gives it a folder, and without one nothing is profiled."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.process = ""
        self.running: Running | None = None
        self.path = ""
        """The next request whose address begins so is to be profiled; "" for none."""
        self._writing: list[threading.Thread] = []

    def open(self, folder: Path, process: str) -> None:
        self.folder, self.process = folder, process

    def close(self) -> None:
        if self.running is not None:
            with suppress(RuntimeError):  # it was begun in a thread that is still busy
                self.running.stop()
        self.settle()
        self.folder, self.running, self.path = None, None, ""

    def settle(self) -> None:
        """Returns once all that has ended is written."""
        while self._writing:
            self._writing.pop().join()

    def begin(self, kind: str, what: str, by: str) -> Running | None:
        """None while another one is being made here."""
        if self.folder is None or self.running is not None:
            return None
        try:
            self.running = Running(self, kind, what, by)
        except RuntimeError as error:  # somebody else profiles this thread
            log.warning("no profile can be made now: %s", error)
        return self.running

    def finished(self, running: Running, session: Session) -> None:
        """Written by a thread: to put a tree together takes a while."""
        self.running = None
        if self.folder is not None:
            thread = threading.Thread(target=self._write, args=(self.folder, running, session), name="profile")
            self._writing = [one for one in self._writing if one.is_alive()]
            self._writing.append(thread)
            thread.start()

    def _write(self, folder: Path, running: Running, session: Session) -> None:
        about: dict[str, Any] = {"id": running.id, "kind": running.kind, "what": running.what, "by": running.by}
        about |= {"process": self.process, "at": session.start_time, "seconds": session.duration}
        about |= {"cpu_seconds": session.cpu_time, "samples": session.sample_count}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            beside = folder / f"{running.id}.new"
            beside.write_bytes(msgspec.json.encode({**about, "tree": tree_of(session)}))
            beside.replace(folder / f"{running.id}.json")
            for old in sorted(folder.glob("[0-9a-f]*.json"))[:-KEPT]:
                old.unlink(missing_ok=True)
        except Exception:
            log.exception("a profile could not be kept")

    # --- orders -------------------------------------------------------------------------------------------------------

    def order(self, kind: str, what: str, by: str) -> None:
        """Profile the next run of the task ``what``, or the next request whose address begins with ``what``."""
        assert self.folder is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        order = {"kind": kind, "what": what, "by": by, "until": time.time() + ORDER_SECONDS}
        beside = self.folder / "order.new"
        beside.write_bytes(msgspec.json.encode(order))
        beside.replace(self.folder / _ORDER)
        self.look()

    def ordered(self) -> dict[str, Any] | None:
        """The order that waits; None when there is none."""
        try:
            order: dict[str, Any] = msgspec.json.decode((self.folder or Path()).joinpath(_ORDER).read_bytes())
        except (OSError, msgspec.DecodeError):
            return None
        return order if order["until"] > time.time() else None

    def look(self) -> None:
        """Whether a request is ordered by now; called every few seconds."""
        order = self.ordered() if self.folder is not None else None
        self.path = order["what"] if order is not None and order["kind"] == "request" else ""

    def take(self, kind: str, matches: Callable[[str], bool]) -> dict[str, Any] | None:
        """The order, when it is of this kind and for this; it is then this process's alone."""
        if self.folder is None or self.running is not None or not (self.folder / _ORDER).exists():
            return None
        order = self.ordered()
        if order is None or order["kind"] != kind or not matches(order["what"]):
            return None
        return order if self.cancel() else None

    def cancel(self) -> bool:
        """Takes the order away; False when there was none, or another process was quicker."""
        self.path = ""
        try:
            (self.folder or Path()).joinpath(_ORDER).unlink()
        except OSError:
            return False
        return True

    @contextmanager
    def job(self, task: str) -> Iterator[None]:
        """Around the function of a job, in the thread that runs it: profiled when that was ordered."""
        order = self.take("job", lambda what: what == task)
        running = None if order is None else self.begin("job", task, order["by"])
        if running is None:
            yield
            return
        timer = _later(running.stop)
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
            running.stop()

    def around(self, task: str, function: Callable[[T], R]) -> Callable[[T], R]:
        """:meth:`job` around the function of a job that runs in a thread."""

        def call(context: T) -> R:
            with self.job(task):
                return function(context)

        return call

    # --- what is kept -------------------------------------------------------------------------------------------------

    def kept(self) -> list[dict[str, Any]]:
        """All but their trees, newest first."""
        files = sorted((self.folder or Path("/nowhere")).glob("[0-9a-f]*.json"), reverse=True)
        found = [self._read(file) for file in files if file.name != _ORDER]
        return [{name: value for name, value in one.items() if name != "tree"} for one in found if one is not None]

    def get(self, profile: str) -> dict[str, Any] | None:
        """``profile`` is lower-case hexadecimal; the caller has seen to that."""
        return self._read((self.folder or Path("/nowhere")) / f"{profile}.json")

    @staticmethod
    def _read(file: Path) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = msgspec.json.decode(file.read_bytes())
        except (OSError, msgspec.DecodeError):
            return None
        return found


PROFILES = Profiles()


def _later(stop: Callable[[], None]) -> asyncio.TimerHandle | None:
    """A job that takes long is not profiled to its end; in a thread of its own there is nobody to stop it."""
    try:
        return asyncio.get_running_loop().call_later(LONGEST, stop)
    except RuntimeError:
        return None


# --- trees ------------------------------------------------------------------------------------------------------------


def tree_of(session: Session) -> Tree:
    """A node: ``function``, ``place`` (file:line), ``seconds`` in all, ``own`` of that in the function itself,
    ``waiting`` of that in awaits that nothing is known about, and ``children``, the longest first."""
    root = session.root_frame()
    if root is None:
        return _node("nothing was seen", "")
    least = LEAST_SHARE * (root.time or 1.0)
    top = _node(root.function, _place(root))
    top["seconds"] = root.time
    waiting: list[tuple[Tree, list[Frame]]] = [(top, [root])]
    nodes = 1
    while waiting:
        node, frames = waiting.pop()
        known: dict[tuple[str, str], tuple[Tree, list[Frame]]] = {}
        for child in (child for frame in frames for child in frame.children):
            if child.is_synthetic:
                node["waiting" if child.function == "[await]" else "own"] += child.time
                continue
            place = _place(child)
            made, of = known.setdefault((child.function, place), (_node(child.function, place), []))
            made["seconds"] += child.time
            of.append(child)
        for made, of in sorted(known.values(), key=lambda one: -one[0]["seconds"]):
            if made["seconds"] >= least and nodes < MOST_NODES:
                node["children"].append(made)
                waiting.append((made, of))
                nodes += 1
            else:
                node["own"] += made["seconds"]
    return top


def _node(function: str, place: str) -> Tree:
    return {"function": function, "place": place, "seconds": 0.0, "own": 0.0, "waiting": 0.0, "children": []}


def _place(frame: Frame) -> str:
    file = frame.file_path_short or ""
    return f"{file}:{frame.line_no}" if frame.line_no else file


def walk(tree: Tree) -> Iterator[tuple[int, Tree]]:
    """Every node with its depth, callers first."""
    stack = [(0, tree)]
    while stack:
        depth, node = stack.pop()
        yield depth, node
        stack.extend((depth + 1, child) for child in reversed(node["children"]))


def hottest(tree: Tree, most: int = 15) -> list[dict[str, Any]]:
    """The functions that took the most time themselves, without those that they called."""
    found: dict[tuple[str, str], float] = {}
    for _, node in walk(tree):
        place = (node["function"], node["place"])
        found[place] = found.get(place, 0.0) + node["own"]
    longest = sorted(found.items(), key=lambda one: -one[1])[:most]
    return [{"function": name, "place": place, "own": own} for (name, place), own in longest if own > 0]


def speedscope(profile: dict[str, Any]) -> dict[str, Any]:
    """The same in the file format of speedscope.app: each function once per caller, one after the other."""
    frames: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    stack: list[tuple[Tree, float, bool]] = [(profile["tree"], 0.0, False)]
    numbers: dict[tuple[str, str], int] = {}
    while stack:
        node, at, closing = stack.pop()
        key = (node["function"], node["place"])
        if key not in numbers:
            numbers[key] = len(frames)
            frames.append({"name": node["function"], "file": node["place"]})
        if closing:
            events.append({"type": "C", "frame": numbers[key], "at": at + node["seconds"]})
            continue
        events.append({"type": "O", "frame": numbers[key], "at": at})
        stack.append((node, at, True))
        begins = []
        for child in node["children"]:
            begins.append((child, at, False))
            at += child["seconds"]
        stack.extend(reversed(begins))
    evented = {"type": "evented", "name": profile["what"], "unit": "seconds", "startValue": 0.0, "events": events}
    evented["endValue"] = profile["tree"]["seconds"]
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "name": f"{profile['kind']} {profile['what']}",
        "shared": {"frames": frames},
        "profiles": [evented],
    }
