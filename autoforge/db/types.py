"""Column types that mean the same on both databases.

SQLite has neither UUIDs nor timestamps, and PostgreSQL sorts text by the rules of a language unless told otherwise.
Stored with these types, keys, times and texts compare, sort and page alike on both.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import BigInteger, DateTime, Dialect, LargeBinary, Text, Uuid
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Processor = Callable[[Any], Any] | None

_REMEMBERED = 4096
"""What the same rows hold when they are read again: looking it up takes a fifth of making it."""


def _key_to_blob(value: uuid.UUID | None) -> bytes | None:
    return None if value is None else value.bytes


@lru_cache(_REMEMBERED)
def _key_from_blob(value: bytes | None) -> uuid.UUID | None:
    # Three times as fast as uuid.UUID(bytes=value), which lists feel: they have hundreds of keys.
    return None if value is None else msgspec.convert(value, uuid.UUID)


def _plain_key(value: uuid.UUID | None) -> uuid.UUID | None:
    # asyncpg answers with a subclass of its own, which serialisers that check the exact type refuse.
    return None if value is None else uuid.UUID(int=value.int)


def _key_literal(value: uuid.UUID) -> str:
    return f"X'{value.hex}'"


class Id(TypeDecorator[uuid.UUID]):
    """A key: ``uuid.UUID`` in Python, 16 bytes on SQLite, ``uuid`` on PostgreSQL; both sort by time (version 7)."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Uuid(as_uuid=True))
        return dialect.type_descriptor(LargeBinary(16))

    def bind_processor(self, dialect: Dialect) -> Processor:
        return None if dialect.name == "postgresql" else _key_to_blob

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor:
        return _plain_key if dialect.name == "postgresql" else _key_from_blob

    def literal_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        return (lambda value: f"'{value}'") if dialect.name == "postgresql" else _key_literal


def to_microseconds(value: datetime) -> int:
    """Microseconds since 1970 in UTC; exact. ValueError for a datetime without a time zone."""
    if value.tzinfo is None:
        raise ValueError("a time without a time zone cannot be stored; use autoforge.db.clock.now()")
    since = value - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


@lru_cache(_REMEMBERED)
def from_microseconds(value: int) -> datetime:
    """The inverse of :func:`to_microseconds`, in UTC."""
    return _EPOCH + timedelta(microseconds=value)


def _instant_to_integer(value: datetime | None) -> int | None:
    return None if value is None else to_microseconds(value)


def _instant_from_integer(value: int | None) -> datetime | None:
    return None if value is None else from_microseconds(value)


def _instant_to_utc(value: datetime | None) -> datetime | None:
    if value is not None and value.tzinfo is None:
        raise ValueError("a time without a time zone cannot be stored; use autoforge.db.clock.now()")
    return value


class Instant(TypeDecorator[datetime]):
    """A moment: aware UTC ``datetime`` in Python; microseconds since 1970 on SQLite, ``timestamptz`` on PostgreSQL."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def bind_processor(self, dialect: Dialect) -> Processor:
        return _instant_to_utc if dialect.name == "postgresql" else _instant_to_integer

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor:
        # asyncpg answers with aware datetimes in UTC already.
        return None if dialect.name == "postgresql" else _instant_from_integer

    def literal_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        if dialect.name == "postgresql":
            return lambda value: f"TIMESTAMPTZ '{value.isoformat()}'"
        return lambda value: str(to_microseconds(value))


class SortableText(TypeDecorator[str]):
    """Text that is sorted or compared, by code point: collation "C" on PostgreSQL, BINARY on SQLite."""

    impl = Text
    cache_ok = True

    @property
    def python_type(self) -> type[str]:
        return str

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text(collation="C") if dialect.name == "postgresql" else Text())
