"""Knowing that the server is asked to end, while long answers are still on their way.

The server waits for open answers before it lets the application close, so an event stream that did not know would
hold it up for as long as somebody watches. The handlers that are there already (the event loop's) are called as well.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from fastapi import FastAPI, Request


@contextmanager
def noticing_the_end(app: FastAPI) -> Iterator[None]:
    """Within the block, :func:`is_closing` is true once SIGTERM or SIGINT has come."""
    app.state.closing = False
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def closing(number: int, frame: FrameType | None) -> None:
        app.state.closing = True
        if callable(known := before[signal.Signals(number)]):
            known(number, frame)

    try:
        for number in before:
            signal.signal(number, closing)
            signal.siginterrupt(number, False)
    except ValueError:  # not the main thread, which alone hears of signals
        before = {}
    try:
        yield
    finally:
        for number, known in before.items():
            if signal.getsignal(number) is closing and known is not None:
                signal.signal(number, known)


def close_soon(state: Any) -> None:
    """The end is near, before any signal says so: ``state`` is the application's."""
    state.closing = True


def is_closing(request: Request) -> bool:
    return bool(getattr(request.app.state, "closing", False))
