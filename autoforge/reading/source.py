"""Where bytes come from, and how many of them there may be.

A ``Source`` is a file or an upload. Opening it gives a binary stream that counts: too many bytes, or a gzip stream that
expands beyond reason, ends in ``TooLarge`` before memory does. Compression is recognised by its first bytes and not by
the file's name; formats that only look like text tables (Excel workbooks, zip archives) are refused by name.
"""

from __future__ import annotations

import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from autoforge.errors import BadInput, FieldError, TooLarge

MAX_WHOLE = 256 * 1024 * 1024
"""Bytes (after expansion) of what is read whole into memory."""
MAX_STREAM = 16 * 1024 * 1024 * 1024
"""Bytes (after expansion) of what is streamed."""
MAX_UPLOAD = 64 * 1024 * 1024
"""Bytes (after expansion) of what comes in one request over HTTP."""
MAX_RATIO = 200
"""Expanded over compressed size, checked once ``RATIO_FREE`` bytes came out. Real text stays below 60."""
RATIO_FREE = 8 * 1024 * 1024

_GZIP = b"\x1f\x8b"
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet (xlsx, ods); export it as CSV first"),
    (b"\xd0\xcf\x11\xe0", "an old Office document (xls); export it as CSV first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; only gzip is understood"),
    (b"BZh", "compressed with bzip2; only gzip is understood"),
    (b"\xfd7zXZ\x00", "compressed with xz; only gzip is understood"),
    (b"%PDF-", "a PDF document"),
    (b"SQLite format 3\x00", "an SQLite database"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """A file (``path``) or an upload (``data``). ``name`` is what messages call it; its ending tells the format."""

    name: str
    path: Path | None = None
    data: bytes | None = None

    @classmethod
    def at(cls, path: Path | str, name: str | None = None) -> Source:
        """A file on disk, called ``name`` in messages (default: its file name)."""
        return cls(name or Path(path).name, path=Path(path))

    @classmethod
    def of(cls, data: bytes, name: str = "the upload") -> Source:
        """Bytes that are already here."""
        return cls(name, data=data)

    @property
    def suffix(self) -> str:
        """The ending that tells the format, in lower case and without ``.gz``: ``.csv``."""
        name = self.name.lower().removesuffix(".gz")
        return Path(name).suffix

    def bad(self, message: str, line: int | None = None, column: int | None = None) -> BadInput:
        """The error to raise: the message with the file's name and the place (1-based) in front."""
        where = self.name
        if line is not None:
            where += f", line {line}"
        if column is not None:
            where += f", column {column}"
        text = f"{where}: {message}"
        return BadInput(text, errors=[FieldError("", text)])

    @contextmanager
    def open(self, limit: int = MAX_STREAM) -> Iterator[BinaryIO]:
        """The expanded bytes as a stream that refuses to give more than ``limit`` bytes.

        Raises BadInput when there is no such readable file, when it is no text format at all, or (while it is read)
        when its compression is broken; TooLarge beyond the bounds.
        """
        with self._raw() as raw:
            head = raw.read(16)
            raw.seek(0)
            self._refuse_foreign(head)
            yield io.BufferedReader(_Bounded(self, raw, limit, packed=head.startswith(_GZIP)), 1 << 16)

    @contextmanager
    def _raw(self) -> Iterator[BinaryIO]:
        if self.path is None:
            yield io.BytesIO(self.data or b"")
            return
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise self.bad("is not a regular file")
            stream = self.path.open("rb")
        except FileNotFoundError:
            raise self.bad("there is no such file") from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "the name is not valid"
            raise self.bad(f"cannot be read ({reason})") from None
        with stream:
            yield stream

    def _refuse_foreign(self, head: bytes) -> None:
        for magic, what in _FOREIGN:
            if head.startswith(magic):
                raise self.bad(f"is {what}")


class _Bounded(io.RawIOBase):
    """Reads through gzip where needed, and stops at the bounds."""

    def __init__(self, source: Source, raw: BinaryIO, limit: int, *, packed: bool) -> None:
        self._source, self._raw, self._limit, self._packed = source, raw, limit, packed
        self._stream: BinaryIO | gzip.GzipFile = gzip.GzipFile(fileobj=raw, mode="rb") if packed else raw
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            chunk = self._stream.read(len(buffer))
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise self._source.bad("the gzip compression is damaged or cut off") from None
        except OSError as error:
            raise self._source.bad(f"cannot be read ({error.strerror})") from None
        self._given += len(chunk)
        self._check()
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _check(self) -> None:
        if self._given > self._limit:
            raise TooLarge(f"{self._source.name}: is larger than {self._limit:,} bytes")
        if self._packed and self._given > RATIO_FREE and self._given > MAX_RATIO * max(self._raw.tell(), 1):
            raise TooLarge(f"{self._source.name}: expands to more than {MAX_RATIO} times its compressed size")


def read_bytes(source: Source, limit: int = MAX_WHOLE) -> bytes:
    """All bytes, expanded. Raises BadInput and TooLarge as ``Source.open``."""
    if source.data is not None and not source.data.startswith(_GZIP) and len(source.data) <= limit:
        source._refuse_foreign(source.data[:16])
        return source.data
    with source.open(limit) as stream:
        return stream.read()


def uploaded(data: bytes, name: str) -> Source:
    """What a request brought, expanded. Raises BadInput as ``Source.open``, and TooLarge beyond ``MAX_UPLOAD``."""
    return Source.of(read_bytes(Source.of(data, name), MAX_UPLOAD), name)
