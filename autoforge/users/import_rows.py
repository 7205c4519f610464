"""A CSV with people as checked rows, streamed: what each would make of a user, or what is wrong with it.

A row that is wrong is given with all its faults, never dropped. Addresses that came before in the same file are
remembered in a private database on disk, so that memory stays flat however long the file is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Self

from autoforge.reading import Source
from autoforge.reading.tables import Row, Table, read_table
from autoforge.users import addresses
from autoforge.users.import_mapping import PROFILE, Assigned, ColumnMap, Underivable, refuse_secrets, words
from autoforge.users.import_reports import REASON_COLUMNS, plain_cell

LARGEST = 1 << 30
"""Bytes of a file, after expansion."""
ROLES = ("user", "manager", "admin")
"""In the order of what they may do."""
_LONGEST_NAME, _LONGEST_PROFILE = 200, 1_000
_YES = words("true t yes y 1 active enabled on ja oui si sí はい 有効")
_NO = words("false f no n 0 inactive disabled off nein non いいえ 無効")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a row; ``column`` is that of the file, or empty when the whole row is meant."""

    column: str
    message: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What a row says of a person. None: it says nothing, so that an existing person keeps what is stored."""

    email: str
    name: str | None
    role: str | None
    is_active: bool | None
    profile: dict[str, str]


@dataclass(frozen=True, slots=True)
class Checked:
    """A row: the line it begins at, its cells as they were, and either a draft or faults."""

    line: int
    cells: Sequence[str]
    draft: Draft | None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file turned out to be when it was read to its end once."""

    table: Table
    rows: int
    first: tuple[Row, ...]


def survey(source: Source, *, shown: int = 20) -> Survey:
    """Reads the whole file once, in constant memory, so that one that breaks off is never half imported.

    BadInput and TooLarge for what cannot be read as a table, holds no rows, or holds passwords.
    """
    table = read_table(source, limit=LARGEST)
    refuse_secrets(table.columns)
    rows = iter(table)
    first = tuple(islice(rows, shown))
    count = len(first) + sum(1 for _ in rows)
    if not count:
        raise source.bad("holds no rows below the header")
    return Survey(table, count, first)


class RowReader:
    """Gives the rows of a table in batches. Close it. ``roles`` are those that the importer may give."""

    def __init__(self, table: Table, mapping: ColumnMap, roles: Sequence[str] = ROLES) -> None:
        self.table = table
        self.mapping = mapping
        self._roles = roles
        self._rows: Iterator[Row] = iter(table)
        self._seen = _Seen()
        # Only what we made to protect spreadsheets is undone; in other files an apostrophe is an apostrophe.
        self._is_report = set(REASON_COLUMNS) <= set(table.columns)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._seen.close()
        close = getattr(self._rows, "close", None)
        if close is not None:
            close()

    def skip(self, rows: int) -> None:
        """Passes what was imported already, remembering its addresses."""
        for row in islice(self._rows, rows):
            self._check(row)

    def batch(self, size: int) -> list[Checked]:
        """The next rows; empty at the end. Raises BadInput for a file that has changed."""
        return [self._check(row) for row in islice(self._rows, size)]

    def _check(self, row: Row) -> Checked:
        cells = row.cells
        if self._is_report:
            cells = {column: plain_cell(text) for column, text in cells.items()}
        given = [text for column, text in cells.items() if not (self._is_report and column in REASON_COLUMNS)]
        given += row.extra
        if row.problem is not None:
            return Checked(row.line, given, None, (Fault("", f"The row {row.problem}."),))
        faults: list[Fault] = []
        draft = self._draft(cells, faults)
        if not faults and (before := self._seen.line_of(draft.email, row.line)) is not None:
            column = self.mapping.fields["email"].column
            faults.append(Fault(column, f"The address {draft.email} is in line {before} already."))
        return Checked(row.line, given, None if faults else draft, tuple(faults))

    def _draft(self, cells: dict[str, str], faults: list[Fault]) -> Draft:
        texts = {target: _text(assigned, cells, faults) for target, assigned in self.mapping.fields.items()}

        def told(target: str, problem: str | None) -> None:
            if problem is not None:
                faults.append(Fault(self.mapping.fields[target].column, problem))

        email = texts["email"].lower()
        if not faults:
            told("email", addresses.fault_of(email))
        name = " ".join(texts.get("name", "").split())
        told("name", _wrong_text(name, "name", _LONGEST_NAME))
        role = texts.get("role", "").casefold()
        told("role", self._wrong_role(role))
        active = texts.get("is_active", "").casefold()
        told("is_active", None if not active or active in _YES or active in _NO else _not_yes(active))
        profile = {key.removeprefix(PROFILE): text for key, text in texts.items() if key.startswith(PROFILE)}
        for key, text in profile.items():
            told(PROFILE + key, _wrong_text(text, key, _LONGEST_PROFILE, lines=True))
        kept = {key: text for key, text in profile.items() if text}
        return Draft(email, name or None, role or None, active in _YES if active else None, kept)

    def _wrong_role(self, role: str) -> str | None:
        if not role or role in self._roles:
            return None
        if role in ROLES:
            return f"You may not make anybody {role}."
        return f"{role[:50]!r} is no role; there are {', '.join(ROLES)}."


def _text(assigned: Assigned, cells: dict[str, str], faults: list[Fault]) -> str:
    try:
        return assigned.value(cells).strip()
    except Underivable as error:
        message = (
            f"{error.text[:50]!r} has no letters that an address could be made of."
            if error.text.strip()
            else "It is empty, and the address is made of it."
        )
        faults.append(Fault(error.column, message))
        return ""


def _wrong_text(text: str, what: str, most: int, *, lines: bool = False) -> str | None:
    if len(text) <= most and text.isprintable():
        return None
    if len(text) > most:
        return f"{what} has {len(text):,} characters; {most:,} are the most."
    if not (lines and all(part.isprintable() for part in text.split())):
        return f"{what} holds control characters."
    return None


def _not_yes(text: str) -> str:
    return f"{text[:50]!r} says neither yes nor no; write true or false."


class _Seen:
    """Addresses and the line where each came first, in a temporary file of SQLite that vanishes by itself."""

    def __init__(self) -> None:
        # Batches are read in threads, one after the other.
        self._connection = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        for command in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500"):
            self._connection.execute(f"PRAGMA {command}").close()
        self._connection.execute("CREATE TABLE seen (email TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        self._connection.execute("BEGIN")

    def line_of(self, email: str, line: int) -> int | None:
        """Where the address came before, or None; then it is remembered."""
        added = self._connection.execute("INSERT INTO seen VALUES (?, ?) ON CONFLICT DO NOTHING", (email, line))
        if added.rowcount:
            return None
        found: int = self._connection.execute("SELECT line FROM seen WHERE email = ?", (email,)).fetchone()[0]
        return found

    def close(self) -> None:
        self._connection.close()
