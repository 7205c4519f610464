"""The process that others know as ``autoforge serve``: it starts workers, replaces them, and ends them.

It imports nothing but a little of the standard library, so it stays small for as long as the service lives. It opens
no database and answers no request: it holds the listening sockets, one per place, so that connections that nobody has
accepted yet outlive the worker that would have; and keeps SQLite's file in memory (:mod:`autoforge.warmth`).

* SIGHUP replaces the workers, one place after the other: a new one starts, and when it is ready the old one hands
  over. A new one that does not become ready changes nothing; the old ones go on.
* SIGTERM and SIGINT end the workers and then this process, with exit code 0.
* A worker that dies is replaced. When this process dies, its workers notice and end.

What it has to say it says on stderr in the form of the workers' logs (:mod:`autoforge.telemetry.logs`, which would
bring more with it than all of this).

To its worker it speaks through a socket: ``ready`` comes back once; ``away`` says that the end is near (the worker says
so when asked whether it is ready), ``hand over`` also that it shall accept no more connections.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from autoforge.warmth import keep_warm

_RECENT = 5.0
"""Seconds: a worker that lived no longer is not replaced at once."""
_PAUSES = (0.5, 30.0)
_START_FAILED = 3
_LEVELS = ("debug", "info", "warning", "error")


@dataclass(slots=True)
class Plan:
    """What to run.

    ``sockets`` are open listening sockets, one per worker. ``drain`` is how many seconds an old worker goes on
    answering before it is ended, ``delay`` how many all do before the service ends, ``patience`` how many a worker has
    to end before it is killed. With ``alone`` no new worker starts before the old one has ended. Of the files ``warm``
    those of up to ``warm_bytes`` are kept in memory. ``level`` is the least that is logged.
    """

    sockets: list[int]
    drain: float
    delay: float
    patience: float
    alone: bool
    warm: list[str] = field(default_factory=list)
    warm_bytes: int = 0
    level: str = "info"
    command: list[str] = field(default_factory=lambda: [sys.executable, "-P", "-m", "autoforge.serving"])


@dataclass(slots=True, eq=False)
class Worker:
    """One process. ``state`` goes from starting to ready, draining and ending; ``until`` is when the next one begins.

    ``successor_of`` is whom it replaces once it is ready.
    """

    place: int
    process: subprocess.Popen[bytes]
    channel: socket.socket
    born: float
    successor_of: Worker | None = None
    state: str = "starting"
    until: float = 0.0
    restart: bool = False

    def say(self, what: bytes) -> None:
        try:
            self.channel.send(what)
        except OSError:
            return  # it has ended, which is noticed elsewhere

    def leave(self, what: bytes, seconds: float) -> None:
        self.state, self.until = "draining", time.monotonic() + seconds
        self.say(what)


class Supervisor:
    """Runs until it is asked to end; ``run`` gives the exit code."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._workers: list[Worker] = []
        self._old: list[Worker] = []  # to be replaced, in this order
        self._due: dict[int, float] = {}  # places to fill, and when
        self._failures = 0
        self._asked: list[int] = []
        self._stopping = self._ever_ready = False
        self._code = 0
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        woken, waking = socket.socketpair()
        for end in (woken, waking):
            end.setblocking(False)
        signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._note)
        self._selector.register(woken, selectors.EVENT_READ)
        for place in range(len(self._plan.sockets)):
            self._start(place)
        if self._plan.warm:
            threading.Thread(target=keep_warm, args=(self._plan.warm, self._plan.warm_bytes), daemon=True).start()
        while self._workers or (self._due and not self._stopping):
            heard = self._selector.select(0 if self._asked else self._pause())
            for key, _ in heard:
                if key.data is None:
                    woken.recv(4096)
                else:
                    self._hear(key.data)
            while self._asked and not heard:  # what workers said before is heard first
                self._obey(self._asked.pop(0))
            self._bury()
            self._advance(time.monotonic())
        return self._code

    def _note(self, number: int, _frame: Any) -> None:
        if number != signal.SIGCHLD:
            self._asked.append(number)

    def _pause(self) -> float | None:
        """Until something is due; a little more often than that, should a signal have been missed."""
        moments = [worker.until for worker in self._workers if worker.until] + list(self._due.values())
        return max(0.0, min(min(moments, default=60.0 + time.monotonic()) - time.monotonic(), 60.0))

    # --- what it is told ----------------------------------------------------------------------------------------------

    def _hear(self, worker: Worker) -> None:
        try:
            said = worker.channel.recv(64)
        except OSError:
            said = b""
        if not said:
            self._selector.unregister(worker.channel)
        elif worker.state == "starting":
            worker.state, self._ever_ready, self._failures = "ready", True, 0
            old, worker.successor_of = worker.successor_of, None
            if old in self._workers:
                assert old is not None
                drain = f"{self._plan.drain:g} s"
                self._say("info", f"worker {worker.place + 1} is replaced; the old one answers for {drain} more")
                old.leave(b"hand over\n", self._plan.drain)

    def _obey(self, number: int) -> None:
        if number == signal.SIGHUP:
            if not self._stopping:
                self._old = [worker for worker in self._workers if worker.state in ("starting", "ready")]
                self._say("info", f"asked to replace the workers ({len(self._old)})")
            return
        if not self._stopping:
            self._say("info", f"asked to end ({signal.Signals(number).name}); the workers end")
        self._stop()

    def _stop(self) -> None:
        again, self._stopping = self._stopping, True
        self._old, self._due = [], {}
        for worker in self._workers:
            if worker.state == "ending":
                continue
            if again or not self._plan.delay or worker.state == "starting":
                self._end(worker)
            else:
                worker.leave(b"away\n", self._plan.delay)

    # --- what it does -------------------------------------------------------------------------------------------------

    def _start(self, place: int, successor_of: Worker | None = None) -> None:
        ours, theirs = socket.socketpair()
        listening = self._plan.sockets[place]
        given = json.dumps({"place": place + 1, "listening": listening, "channel": theirs.fileno()})
        with theirs:
            process = subprocess.Popen(
                [*self._plan.command, given],
                pass_fds=(listening, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                process_group=0,  # an interrupt at the keyboard is ours to hand on
            )
        worker = Worker(place, process, ours, time.monotonic(), successor_of)
        self._workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)

    def _bury(self) -> None:
        for worker in [worker for worker in self._workers if worker.process.poll() is not None]:
            self._workers.remove(worker)
            if worker.channel.fileno() in self._selector.get_map():
                self._selector.unregister(worker.channel)
            worker.channel.close()
            if worker.restart and not self._stopping:
                self._start(worker.place)
            elif worker.state in ("starting", "ready") and not self._stopping:
                self._mourn(worker)

    def _mourn(self, worker: Worker) -> None:
        """It was not asked to end."""
        how = f"worker {worker.place + 1} ended by itself ({_described(worker.process.returncode)})"
        if not self._ever_ready:
            self._code = _START_FAILED
            self._stop()
            self._say("error", f"{how} before it was ready; the service does not start")
        elif worker.successor_of in self._workers:
            self._old.clear()
            self._say("error", f"{how} before it was ready; nothing is replaced, the old workers go on")
        else:
            self._failures += 1
            lived = time.monotonic() - worker.born
            pause = 0.0 if lived > _RECENT else min(_PAUSES[0] * 2**self._failures, _PAUSES[1])
            self._due[worker.place] = time.monotonic() + pause
            self._say("error", f"{how}; another takes its place" + (f" in {pause:g} s" if pause else ""))

    def _advance(self, now: float) -> None:
        for worker in self._workers:
            if worker.state == "draining" and worker.until <= now:
                self._end(worker)
            elif worker.state == "ending" and worker.until <= now:
                self._say(
                    "warning", f"worker {worker.place + 1} did not end within {self._plan.patience:g} s; it is killed"
                )
                worker.until = now + self._plan.patience
                worker.process.kill()
        for place in [place for place, moment in self._due.items() if moment <= now]:
            del self._due[place]
            self._start(place)
        if self._old and all(worker.state == "ready" for worker in self._workers):
            self._replace(self._old.pop(0))

    def _end(self, worker: Worker) -> None:
        if self._stopping:  # whoever connects from now on is to be refused, and not to wait for nobody
            while self._plan.sockets:
                os.close(self._plan.sockets.pop())
        worker.state, worker.until = "ending", time.monotonic() + self._plan.patience
        worker.process.terminate()

    def _replace(self, old: Worker) -> None:
        if old not in self._workers:
            return
        if self._plan.alone:
            self._say("info", f"worker {old.place + 1} ends, and another takes its place")
            old.restart = True
            self._end(old)
        else:
            self._start(old.place, successor_of=old)

    def _say(self, level: str, what: str) -> None:
        """One line as the workers write theirs: JSON, or readable when a person watches."""
        if _LEVELS.index(level) < _LEVELS.index(self._plan.level):
            return
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        structured = {"event": what, "level": level, "timestamp": now}
        line = f"{now} [{level:<9}] {what}" if sys.stderr.isatty() else json.dumps(structured)
        with suppress(OSError):  # nobody reads any more: the service goes on
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


def _described(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def main() -> None:
    sys.exit(Supervisor(Plan(**json.loads(sys.argv[1]))).run())


if __name__ == "__main__":
    main()
