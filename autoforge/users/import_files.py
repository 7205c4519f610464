"""Uploaded files, kept in the data folder until their import is over, so that it can go on after a crash.

A file is called by the hash of its content, in a folder of its workspace. Nobody but this user of the machine can read
it. Several machines that share the work have to share the data folder.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from autoforge.errors import NotFound
from autoforge.settings import Settings

KEPT_SECONDS = 24 * 3600.0
_KEY = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20


def path_of(settings: Settings, workspace_id: UUID, key: str) -> Path:
    """Where the file is. NotFound when it is not there (any more)."""
    path = _folder(settings, workspace_id) / f"{key}.csv"
    if not _KEY.fullmatch(key) or not path.is_file():
        raise NotFound("The uploaded file is not kept any more; upload it again.")
    return path


async def keep(settings: Settings, workspace_id: UUID, chunks: AsyncIterator[bytes]) -> str:
    """Stores what comes; returns the key that :func:`path_of` takes. Nothing is left of an upload that breaks off."""
    folder = _folder(settings, workspace_id)
    coming = folder / f"{secrets.token_hex(16)}.part"
    await asyncio.to_thread(_prepare, folder)
    digest = hashlib.sha256()
    try:
        with open(os.open(coming, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:  # noqa: ASYNC230
            pending = bytearray()
            async for chunk in chunks:
                pending += chunk
                if len(pending) >= _CHUNK:
                    await asyncio.to_thread(_add, stream, digest, bytes(pending))
                    pending.clear()
            await asyncio.to_thread(_add, stream, digest, bytes(pending))
            await asyncio.to_thread(os.fsync, stream.fileno())
        os.replace(coming, folder / f"{digest.hexdigest()}.csv")
    except BaseException:
        coming.unlink(missing_ok=True)
        raise
    return digest.hexdigest()


def forget(settings: Settings, workspace_id: UUID, key: str) -> None:
    (_folder(settings, workspace_id) / f"{key}.csv").unlink(missing_ok=True)


def forget_old(settings: Settings, needed: Collection[str]) -> int:
    """Removes what is older than a day and not ``needed`` by an import; how many files."""
    oldest, gone = time.time() - KEPT_SECONDS, 0
    for path in _all(settings):
        with suppress(FileNotFoundError):  # another process was faster
            if path.stem not in needed and path.stat().st_mtime < oldest:
                path.unlink()
                gone += 1
    return gone


def _all(settings: Settings) -> Iterator[Path]:
    for pattern in ("*/*.csv", "*/*.part"):
        yield from (settings.data / "imports").glob(pattern)


def _folder(settings: Settings, workspace_id: UUID) -> Path:
    return settings.data / "imports" / workspace_id.hex


def _prepare(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _add(stream: object, digest: object, data: bytes) -> None:
    stream.write(data)  # type: ignore[attr-defined]
    digest.update(data)  # type: ignore[attr-defined]
