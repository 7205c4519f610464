"""Structured logs: one JSON object per line on stderr, or readable lines when a person watches.

Secrets are kept out by name: a key that looks like one is masked before anything is written. The line of a request
(:func:`request_line`) is written by hand: structlog would take longer for it than a prompt from memory takes in all.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import MutableMapping
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

import structlog

from autoforge.telemetry.lines import LINES

_SECRET = ("password", "secret", "token", "api_key", "authorization", "cookie")
_plain = False
_second = (0, "")


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        # Token counts (tokens_in, tokens_out) are figures, not secrets.
        if any(word in key.lower() for word in _SECRET) and not isinstance(event[key], int | float):
            event[key] = "***"
    return event


def configure(level: str = "info", *, readable: bool | None = None) -> None:
    """Sets up the logs of this process; ``readable`` defaults to whether stderr is a terminal."""
    global _plain
    if readable is None:
        readable = sys.stderr.isatty()
    _plain = not readable and level in ("debug", "info")
    renderer: Any = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if readable
        else structlog.processors.JSONRenderer()
    )
    about: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _mask,
        structlog.processors.format_exc_info,
    ]
    _take_in_the_standard_library(level, about, renderer)
    structlog.configure(
        processors=[*about, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=_Printer,
        cache_logger_on_first_use=True,
    )


class _Printer:
    """What structlog writes with: every line at once, after those of requests that wait."""

    def __init__(self, *_: Any) -> None:
        """Structlog names the logger; the line says it already."""

    def msg(self, text: str) -> None:
        LINES.now(text + "\n")

    log = debug = info = warning = error = critical = msg


class _ToStderr(logging.Handler):
    """Writes to whatever ``sys.stderr`` is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            LINES.now(self.format(record) + "\n")
        except Exception:
            self.handleError(record)


def _take_in_the_standard_library(level: str, about: list[Any], renderer: Any) -> None:
    """What our modules say through ``logging`` comes out in the same form, with the request's id."""
    handler = _ToStderr()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=about))
    ours = logging.getLogger("autoforge")
    ours.handlers = [handler]
    ours.setLevel(level.upper())


def request_answered(
    method: str, path: str, status: int, seconds: float, *, statements: int, client: str, request_id: str
) -> None:
    """The line of one request, with the same keys whoever writes it."""
    if _plain:
        LINES.later(request_line(quoted(method), quoted(path), status, seconds, statements, quoted(client), request_id))
        return
    about = {"method": method, "path": path, "status": status, "milliseconds": round(seconds * 1_000, 1)}
    more = {"statements": statements, "client": client, "request_id": request_id}
    structlog.get_logger(__name__).info("request", **about, **more)


def request_line(
    method: str, path: str, status: int, seconds: float, statements: int, client: str, request_id: str
) -> str:
    """As JSON; ``method``, ``path`` and ``client`` are quoted already."""
    return (
        f'{{"method": {method}, "path": {path}, "status": {status}, "milliseconds": {seconds * 1_000:.1f}, '
        f'"statements": {statements}, "client": {client}, "request_id": "{request_id}", "event": "request", '
        f'"level": "info", "timestamp": "{_timestamp()}"}}\n'
    )


def _timestamp() -> str:
    """The present as RFC 3339 in UTC, to the microsecond."""
    global _second
    now = time.time_ns() // 1_000
    second, rest = divmod(now, 1_000_000)
    known, text = _second
    if second != known:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _second = second, text
    return f"{text}.{rest:06d}Z"
