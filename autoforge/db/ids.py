"""Keys: UUID version 7 (RFC 9562, section 5.7), so that new rows land at the end of every index.

Within a process keys are strictly increasing even inside one millisecond: the 12 bits after the version count up, as
section 6.2 (method 1) of the RFC allows, and the remaining 62 bits are random. Random bits are asked of the system for
many keys at once: a question each would give up the interpreter's lock, which a request, or a thread that makes keys
for an import, has to win back from everybody else.
"""

from __future__ import annotations

import os
import struct
import threading
import time
import uuid

_lock = threading.Lock()
_last_tick = 0
_drawn: list[int] = []
_DRAW = struct.Struct("256Q")

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drawn.clear)  # parent and child must not go on with the same bits


def random_bits() -> int:
    """64 random bits, fit for keys and ids that nobody is to guess."""
    while True:
        try:
            return _drawn.pop()
        except IndexError:
            _drawn.extend(_DRAW.unpack(os.urandom(_DRAW.size)))


def _next_tick() -> int:
    """Milliseconds since the epoch times 4096, plus a counter; never the same twice in this process."""
    global _last_tick
    now = time.time_ns() * 4096 // 1_000_000
    with _lock:
        _last_tick = now if now > _last_tick else _last_tick + 1
        return _last_tick


def new_id() -> uuid.UUID:
    """A new key, greater than every key that this process made before."""
    tick, random = _next_tick(), random_bits()
    millis, counter = tick >> 12, tick & 0xFFF
    return uuid.UUID(int=millis << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | random & 0x3FFF_FFFF_FFFF_FFFF)


def parse_id(text: str) -> uuid.UUID | None:
    """The key that ``text`` spells, or None when it spells none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
