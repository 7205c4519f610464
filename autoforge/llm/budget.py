"""The budget of rendering untrusted templates, and how values are paid for.

The currency is roughly one character, or one step. Every operation of a template whose result can be larger than what
it was given pays *before* it happens; a render that has spent its budget stops with :class:`BudgetSpent`. A deadline in
CPU time of the thread, which a busy machine does not shorten, stands behind it for whatever was not thought of.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from jinja2.runtime import Macro, Undefined

from autoforge.llm.plain import json_text

BUDGET = 32_000_000
MAX_OUTPUT = 8_000_000
"""Characters of what one call gives, all its texts together."""
CPU_SECONDS = 3.0
MAX_WIDTH = 10_000
MAX_EXPONENT_BITS = 4096
MAX_INTEGER_BITS = 8192
ITEM = 16  # what one element of a list costs, in characters
STEP = 32  # what one call or filter costs
_LOOK_AT_CLOCK = 100_000  # asking for the time is a system call: once for so much spent

_current = threading.local()


class BudgetSpent(Exception):
    """The render asked for more work or memory than any prompt needs."""


class OutputTooLong(Exception):
    """What was rendered is longer than any prompt may be."""


class Refused(Exception):
    """The template uses something that templates may not use."""


class Budget:
    """What one call may still spend, on however many texts; made by the thread that spends it."""

    __slots__ = ("_random", "_variables", "deadline", "next_look", "remaining", "room")

    def __init__(self) -> None:
        self.remaining = BUDGET
        self.next_look = BUDGET - _LOOK_AT_CLOCK
        self.room = MAX_OUTPUT
        self.deadline = time.thread_time() + CPU_SECONDS
        self._variables: dict[str, Any] = {}
        self._random: random.Random | None = None

    @property
    def is_spent(self) -> bool:
        return self.remaining < 0 or self.room < 0 or time.thread_time() > self.deadline

    def look(self) -> None:
        """Raises BudgetSpent before another text is begun in vain."""
        if self.is_spent:
            raise BudgetSpent

    def put(self, size: int) -> None:
        """Pays for so many characters of output. Raises OutputTooLong."""
        self.room -= size
        if self.room < 0:
            raise OutputTooLong

    def spend(self, amount: int) -> None:
        self.remaining -= amount
        if self.remaining < self.next_look:
            self.next_look = self.remaining - _LOOK_AT_CLOCK
            if self.remaining < 0 or time.thread_time() > self.deadline:
                raise BudgetSpent

    def choose(self, options: Any) -> Any:
        if self._random is None:
            self._random = random.Random(json.dumps(self._variables, sort_keys=True, default=str))
        return self._random.choice(list(options))

    @contextmanager
    def text(self, variables: dict[str, Any]) -> Iterator[None]:
        """One text is rendered; ``variables`` are the seed of its ``choice``, whatever texts came before."""
        self.look()
        self._variables, self._random = variables, None
        _current.budget = self
        try:
            yield
        finally:
            _current.budget = None


def current_budget() -> Budget:
    budget: Budget | None = getattr(_current, "budget", None)
    if budget is None:  # compile time: Jinja takes the exception as "not a constant"
        raise BudgetSpent
    return budget


def spend(amount: int) -> None:
    current_budget().spend(amount)


def measure(value: Any) -> Any:
    """Pay for every leaf that making text of ``value``, or comparing it, would visit; shared parts count each time."""
    if isinstance(value, str):
        spend(len(value))
    elif isinstance(value, list | tuple | dict):
        spend(weight(value))
        for item in value:
            measure(item)
        for item in value.values() if isinstance(value, dict) else ():
            measure(item)
    return value


def weight(value: Any) -> int:
    """What holding ``value`` itself costs, without what it refers to."""
    if isinstance(value, str):
        return len(value)
    return ITEM * len(value) if isinstance(value, list | tuple | dict) else 1


def as_list(value: Any) -> list[Any]:
    """The elements of anything that templates loop over, paid for one by one, since some are generators."""
    if isinstance(value, list):
        return value
    items = []
    for item in value:
        spend(ITEM)
        items.append(item)
    return items


def text_of(value: Any) -> str:
    """How a value reads inside a prompt: text as it is, everything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Undefined):
        return str(value)  # raises the error that names the variable
    if isinstance(value, dict | bool | int | float | None):
        return json_text(measure(value))
    if isinstance(value, Iterable) and not isinstance(value, Macro):
        return json_text(measure(as_list(value)))
    raise Refused(f"a {type(value).__name__} cannot be written into a prompt")
