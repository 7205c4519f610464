"""Which tasks there are: a name, the function behind it, and how it wants to be run.

``@task`` registers in :data:`REGISTRY` when its module is imported; the web process and the workers import the modules
of all tasks (``autoforge.operations.tasks``). The three kinds of functions:

* ``async def``: runs on the event loop, and may use the database.
* ``def``: runs in a thread of its own. It cannot be interrupted, only asked to stop.
* ``def`` with ``process=True``: runs in a process of its own, for work that needs a processor or may crash. It gets no
  database; it can be interrupted, and whatever happens to the process happens to its job alone.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

MOST_PRIORITY = 100
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,99}")


@dataclass(frozen=True, slots=True)
class Task:
    """``function(context)`` returns a JSON value or None.

    ``timeout`` in seconds. ``attempts``: so many failures, and the job is dead. ``backoff``: seconds before the second
    attempt, doubled for each one after it. ``schedule``: a cron expression (UTC) at which it is enqueued by itself.
    ``permission`` (``area:action``): what it takes to cancel a job of it, to try it again, and to read what came of it.
    """

    name: str
    function: Callable[..., Any]
    queue: str = "default"
    priority: int = 0
    timeout: float | None = 3600.0
    attempts: int = 3
    backoff: float = 2.0
    process: bool = False
    schedule: str | None = None
    title: str = ""
    permission: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or not _NAME.fullmatch(self.queue):
            raise ValueError(f"names of tasks and queues are lower case, such as users.import: {self.name!r}")
        if abs(self.priority) > MOST_PRIORITY or self.attempts < 1 or self.backoff < 0:
            raise ValueError(f"the priority, attempts or backoff of {self.name} is out of range")
        if self.process and ("<" in self.function.__qualname__ or inspect.iscoroutinefunction(self.function)):
            raise ValueError(f"{self.name} runs in a process: it must be a plain function at the top of a module")

    @property
    def address(self) -> str:
        """Where another process finds the function."""
        return f"{self.function.__module__}:{self.function.__qualname__}"


@dataclass(slots=True)
class Registry:
    """Tasks by name."""

    tasks: dict[str, Task] = field(default_factory=dict)

    def task(self, name: str, **options: Any) -> Callable[[Callable[..., Any]], Task]:
        """Declares the decorated function a task; its name in the module is then the :class:`Task`."""

        def declare(function: Callable[..., Any]) -> Task:
            return self.add(Task(name, function, **options))

        return declare

    def add(self, task: Task) -> Task:
        """ValueError when another function has that name already."""
        known = self.tasks.get(task.name)
        if known is not None and known.address != task.address:
            raise ValueError(f"two tasks are called {task.name}: {known.address} and {task.address}")
        if task.schedule is not None:
            from autoforge.queue.schedules import check_expression

            check_expression(task.schedule)
        self.tasks[task.name] = task
        return task

    def get(self, name: str) -> Task | None:
        return self.tasks.get(name)

    def queues(self) -> tuple[str, ...]:
        return tuple(sorted({task.queue for task in self.tasks.values()}))

    def scheduled(self) -> Mapping[str, Task]:
        return {name: task for name, task in self.tasks.items() if task.schedule is not None}

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks.values())


REGISTRY = Registry()
task = REGISTRY.task
