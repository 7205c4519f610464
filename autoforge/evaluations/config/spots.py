"""Spots: where in the configuration, or in a file that it names, something stands.

Every error and every notice about a configuration says the file, the line where the format has lines, and the JSON
Pointer. A spot carries them along while nested parts are read.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from autoforge.errors import BadInput, FieldError, escaped
from autoforge.reading.documents import Document


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that was left out or ignored, and where; the rest of the configuration goes on without it."""

    message: str
    file: str
    pointer: str = ""
    line: int | None = None

    def __str__(self) -> str:
        line = "" if self.line is None else f", line {self.line}"
        pointer = f" ({self.pointer})" if self.pointer else ""
        return f"{self.file}{line}: {self.message}{pointer}"


class Spot(msgspec.Struct, frozen=True):
    """A JSON Pointer into one file. ``fixed_line`` is for formats that have only lines (CSV, JSONL).

    A struct, since every part of every test has one: a dataclass takes seven times as long to make.
    """

    file: str
    pointer: str = ""
    document: Document | None = None
    fixed_line: int | None = None

    def child(self, *keys: str | int) -> Spot:
        """The spot of a part of what stands here."""
        pointer = self.pointer
        for key in keys:
            pointer += f"/{key}" if isinstance(key, int) else f"/{escaped(key)}"
        return Spot(self.file, pointer, self.document, self.fixed_line)

    @property
    def line(self) -> int | None:
        return self._place()[0]

    def _place(self, pointer: str | None = None) -> tuple[int | None, int | None]:
        found = self.document.place(self.pointer if pointer is None else pointer) if self.document else None
        return found or (self.fixed_line, None)

    def notice(self, message: str) -> Notice:
        return Notice(message, self.file, self.pointer, self.line)

    def bad(self, message: str) -> BadInput:
        """The error to raise about what stands here."""
        return BadInput(f"{self._where(self.pointer)}: {message}", errors=[FieldError(self.pointer, message)])

    def located(self, error: BadInput) -> BadInput:
        """The error of a deeper reader, whose pointers go into this file, with file and line put in front."""
        first = error.errors[0] if error.errors else FieldError(self.pointer, error.detail)
        return BadInput(f"{self._where(first.pointer)}: {first.message}", errors=error.errors or (first,))

    def _where(self, pointer: str) -> str:
        line, column = self._place(pointer)
        where = self.file
        if line is not None:
            where += f", line {line}"
        if column is not None:
            where += f", column {column}"
        return f"{where} ({pointer})" if pointer else where
