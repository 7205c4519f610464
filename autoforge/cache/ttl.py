"""How long each kind of value may live, by the specification (F3). A change forgets a value at once all the same."""

from __future__ import annotations

from enum import Enum

WORD = 0.1
"""Seconds that a value may be used without a word from Redis, where there is one: the bound between hosts."""


class Kind(Enum):
    """A kind of cached value.

    ``label`` is its name in metrics, ``seconds`` its time to live. ``alone`` is how many of them it may be used while
    Redis cannot say whether it changed. ``ahead`` is how many before the end it is computed anew, ``shared`` whether
    Redis keeps it.
    """

    # Forgotten at once on this host and through Redis. Where neither tells, it is asked for every second, as a stream
    # asks, so that a revoked key is out within two.
    ACCESS = ("access", 30, 1.0, 0, False)
    PROMPT = ("prompt", 600)
    LISTS = ("lists", 300, WORD, 0, False)  # read again sooner than asked for in Redis
    EVALUATION = ("evaluation", 3600)
    TEMPLATES = ("templates", 3600)
    STATISTICS = ("statistics", 1800, 1800.0, 360)  # may be old, and say how old they are

    # Enum's own hash is written in Python, and every hit looks a kind up.
    __hash__ = object.__hash__

    def __init__(self, label: str, seconds: int, alone: float = WORD, ahead: int = 0, shared: bool = True) -> None:
        self.label = label
        self.seconds = seconds
        self.alone = alone
        self.ahead = ahead
        self.shared = shared
