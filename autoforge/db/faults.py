"""What the drivers' errors mean to us.

Constraint violations stay SQLAlchemy's ``IntegrityError``: only the command that wrote knows what they mean.
"""

from __future__ import annotations

from types import TracebackType

from sqlalchemy.exc import DBAPIError

from autoforge.db.connection import StatementCancelled
from autoforge.errors import AutoforgeError, DatabaseTimeout, DatabaseUnavailable, Overloaded

_COLLISIONS = {"40001", "40P01"}  # PostgreSQL: serialization_failure, deadlock_detected
_QUERY_CANCELED, _LOCK_NOT_AVAILABLE = "57014", "55P03"
_SQLITE_FULL, _SQLITE_IOERR, _SQLITE_NOTADB, _SQLITE_CORRUPT = 13, 10, 26, 11


class Collided(Overloaded):
    """The transaction collided with another and was rolled back; running it again is right (``transact`` does)."""


class Faults:
    """``with FAULTS:`` around what talks to a driver: :func:`translated`, and a cancellation as itself.

    Holds nothing, so that one serves all; a class, because a generator would cost a read by key several percent.
    """

    __slots__ = ()

    def __enter__(self) -> None: ...

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if isinstance(error, StatementCancelled):
            raise error.cancelled from None
        if isinstance(error, DBAPIError) and (known := translated(error)) is not None:
            raise known from error


FAULTS = Faults()


def translated(error: DBAPIError) -> AutoforgeError | None:
    """Our error for a driver's, or None where it should stay as it is."""
    if error.connection_invalidated:
        return DatabaseUnavailable("the connection to the database was lost; try again")
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return _of_postgresql(str(state))
    code = (getattr(error.orig, "sqlite_errorcode", None) or 0) & 0xFF
    if code in (_SQLITE_FULL, _SQLITE_IOERR):
        return DatabaseUnavailable(f"the database cannot be read or written: {error.orig}", retry_after=30)
    if code in (_SQLITE_NOTADB, _SQLITE_CORRUPT):
        return DatabaseUnavailable(f"the database file is damaged or is none: {error.orig}", retry_after=600)
    return None


def _of_postgresql(state: str) -> AutoforgeError | None:
    if state in _COLLISIONS:
        return Collided("the transaction collided with another one; try again")
    if state == _QUERY_CANCELED:
        return DatabaseTimeout("a statement took longer than it may and was stopped")
    if state == _LOCK_NOT_AVAILABLE or state.startswith("53"):  # 53: insufficient resources
        return Overloaded("the database is too busy; try again")
    if state.startswith(("08", "57P")):  # connection lost, server shutting down
        return DatabaseUnavailable("the connection to the database was lost; try again")
    return None
