"""Sends requests at the moments of a Poisson process over many open connections, and tallies what comes back.

One thread over epoll, because at a thousand requests a second the generator must leave the processor to the server.
Connections take turns, so that all of them are used. When none is free a request waits, and its latency with it.
"""

from __future__ import annotations

import random
import select
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from bench.load.connection import Connection, Lost
from bench.load.mix import Asked, Requests
from bench.load.tally import Tally

Segment = tuple[float, float, int]
"""Requests a second (0: as many as the connections carry, a closed loop), seconds, and how many at most (0: any)."""
_BATCH = 50
_now = time.perf_counter


class Generator:
    """``patience`` is how many seconds a client waits before it gives up."""

    def __init__(self, address: tuple[str, int], connections: int, requests: Requests, patience: float = 10.0) -> None:
        self._address, self._requests, self._patience = address, requests, patience
        self._chance = random.Random(2)
        self._poll = select.epoll()
        self._by_file: dict[int, Connection] = {}
        self._free: deque[Connection] = deque()
        self._waiting: deque[tuple[float, int, Asked]] = deque()
        self._made: list[Asked] = []
        self._missing = 0
        for _ in range(connections):
            self._connect()

    def run(self, segments: Sequence[Segment]) -> dict[str, Any]:
        """One segment after the other without a pause; what they found, and what the generator itself cost."""
        self._tallies = [Tally(self._requests.kinds) for _ in segments]
        self._begins = [0.0] * len(segments)
        busy, began = time.process_time(), _now()
        until = began
        for place, (rate, seconds, most) in enumerate(segments):
            self._begins[place], until = until, until + seconds
            if rate > 0:
                self._arrive(place, rate, until)
            else:
                self._keep_busy(place, until, most)
                until = _now()
        self._drain()
        spent = _now() - began
        cost = {"seconds": spent, "cpu": time.process_time() - busy}
        return {"segments": [tally.summary() for tally in self._tallies], "generator": cost}

    def _arrive(self, place: int, rate: float, until: float) -> None:
        due, looked = self._begins[place] + self._chance.expovariate(rate), _now()
        while due < until:
            now = _now()
            while due <= now and due < until:
                self._waiting.append((due, place, self._next()))
                due += self._chance.expovariate(rate)
            self._dispatch()
            self._receive(min(due, until) - _now())
            if now - looked > 1.0:
                self._look_after_connections()
                looked = now

    def _keep_busy(self, place: int, until: float, most: int) -> None:
        made = 0
        while (now := _now()) < until and (not most or made < most):
            for _ in range(min(len(self._free), most - made if most else len(self._free))):
                self._waiting.append((now, place, self._next()))
                made += 1
            self._dispatch()
            self._receive(min(0.1, until - now))

    def _drain(self) -> None:
        """Waits for what is under way; who lost patience is counted."""
        until = _now() + self._patience
        while (self._waiting or len(self._free) + self._missing < len(self._by_file)) and _now() < until:
            self._dispatch()
            self._receive(0.05)
            if not any(one.is_busy for one in self._by_file.values()) and not self._waiting:
                break
        self._look_after_connections(everything=True)

    def _next(self) -> Asked:
        if not self._made:
            self._made = self._requests.batch(_BATCH)
            self._made.reverse()
        return self._made.pop()

    def _dispatch(self) -> None:
        while self._waiting and self._free:
            intended, place, (kind, request) = self._waiting.popleft()
            now, tally = _now(), self._tallies[place]
            if now - intended > self._patience:
                tally.failed("gave up before it could be sent", intended - self._begins[place])
                continue
            one = self._free.popleft()
            one.kind, one.segment, one.intended, one.sent = kind, place, intended, now
            tally.late.add(now - intended)
            try:
                one.send(request)
            except Lost as lost:
                self._lose(one, str(lost))

    def _receive(self, timeout: float) -> None:
        if timeout > 0:  # epoll alone counts in milliseconds, rounded up
            select.select([self._poll.fileno()], (), (), timeout)
        for file, _ in self._poll.poll(0):
            one = self._by_file[file]
            try:
                answer = one.receive()
            except Lost as lost:
                self._lose(one, str(lost))
                continue
            if answer is not None and one.is_busy:
                self._answered(one, answer)

    def _answered(self, one: Connection, answer: bytes) -> None:
        now = _now()
        times = (now - one.intended, now - one.sent, one.intended - self._begins[one.segment])
        self._tallies[one.segment].answered(one.kind, answer, times)
        one.kind = -1
        self._free.append(one)

    # --- connections --------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        try:
            one = Connection(self._address)
        except OSError:
            self._missing += 1
            return
        self._by_file[one.socket.fileno()] = one
        self._poll.register(one.socket.fileno(), select.EPOLLIN)
        self._free.append(one)

    def _lose(self, one: Connection, why: str) -> None:
        """A request under way is lost with its connection; another connection takes its place."""
        if one.is_busy:
            self._tallies[one.segment].failed(f"lost: {why}", one.intended - self._begins[one.segment])
        else:
            self._free.remove(one)
        self._poll.unregister(one.socket.fileno())
        del self._by_file[one.socket.fileno()]
        one.close()
        self._connect()

    def _look_after_connections(self, *, everything: bool = False) -> None:
        """Gives up on what takes too long, and connects again where that failed."""
        oldest = _now() - (0 if everything else self._patience)
        for one in list(self._by_file.values()):
            if one.is_busy and one.sent < oldest:
                self._lose(one, "no answer in time")
        if everything:
            for intended, place, _ in self._waiting:
                self._tallies[place].failed("gave up before it could be sent", intended - self._begins[place])
            self._waiting.clear()
        missing, self._missing = self._missing, 0
        for _ in range(missing):
            self._connect()
