"""Everything that can go wrong on purpose.

Each class carries the HTTP status and the title that the problem document (RFC 9457) shows, and the exit code
that the command line uses. Code below the web layer raises these and never speaks HTTP itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one place of the input.

    ``pointer`` is a JSON Pointer (RFC 6901) into the body, ``?name`` for a query parameter, ``{name}`` for a part of
    the path, or the name of a header.
    """

    pointer: str
    message: str


def escaped(key: str) -> str:
    """A key as a step of a JSON Pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def pointer_to(*steps: object) -> str:
    """The JSON Pointer that leads to a place by these keys and indexes."""
    return "".join(f"/{escaped(str(step))}" for step in steps)


def steps_of(pointer: str) -> list[str]:
    """The keys and indexes of a JSON Pointer, as text."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


class AutoforgeError(Exception):
    """Base of all expected errors. ``detail`` is one sentence for a person and says what to do."""

    status = 500
    kind = "internal"
    title = "Something went wrong on our side"
    exit_code = 3

    def __init__(self, detail: str, *, errors: Iterable[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)


class BadInput(AutoforgeError):
    """The input is malformed or breaks a rule; ``errors`` point at the fields."""

    status = 422
    kind = "bad-input"
    title = "The input is not valid"
    exit_code = 2

    @classmethod
    def at(cls, pointer: str, message: str) -> BadInput:
        """The usual case: one field is wrong."""
        return cls(message, errors=[FieldError(pointer, message)])


class Unauthenticated(AutoforgeError):
    status = 401
    kind = "unauthenticated"
    title = "Sign in first"
    exit_code = 2


class Forbidden(AutoforgeError):
    status = 403
    kind = "forbidden"
    title = "You may not do this"
    exit_code = 2


class NotFound(AutoforgeError):
    """It does not exist, or not for the one who asks: the two are not told apart."""

    status = 404
    kind = "not-found"
    title = "Not found"
    exit_code = 2


class Conflict(AutoforgeError):
    """The request is fine, but what is stored contradicts it (a name taken, a label that moved)."""

    status = 409
    kind = "conflict"
    title = "That contradicts what is stored"
    exit_code = 2


class Stale(AutoforgeError):
    """`If-Match` names a version that is not the current one: somebody else saved first."""

    status = 412
    kind = "stale"
    title = "It was changed in the meantime"
    exit_code = 2

    @classmethod
    def check(cls, expected: int | None, current: int) -> None:
        """Raises it for a writer who expected another version than the current one; None expects nothing."""
        if expected is not None and expected != current:
            raise cls(f"You changed version {expected}, the current one is {current}. Read it again, then repeat.")


class TooLarge(AutoforgeError):
    status = 413
    kind = "too-large"
    title = "The input is too large"
    exit_code = 2


class _NotNow(AutoforgeError):
    """Trying again after ``retry_after`` seconds is right."""

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Overloaded(_NotNow):
    """Admission control turned the work away; it may do better after ``retry_after`` seconds."""

    status = 503
    kind = "overloaded"
    title = "Too busy right now"
    exit_code = 3


class DatabaseUnavailable(Overloaded):
    """The database cannot be reached, or cannot store anything (a full disk); not the caller's fault."""

    kind = "database-unavailable"
    title = "The database is not available"


class DatabaseTimeout(AutoforgeError):
    """The database took longer for one statement than the settings allow."""

    status = 504
    kind = "database-timeout"
    title = "The database took too long"
    exit_code = 3


class TooManyRequests(_NotNow):
    """A limit was reached; it is over after ``retry_after`` seconds."""

    status = 429
    kind = "too-many-requests"
    title = "Too many requests"
    exit_code = 2
