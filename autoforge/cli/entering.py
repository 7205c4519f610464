"""Links that work once, as the command line hands them out: to sign in, to join, to set a password."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from autoforge.operations import noticed
from autoforge.settings import Settings

if TYPE_CHECKING:
    from autoforge.operations.opening import Opened

_ADDRESS = "address"


def keep_address(settings: Settings, address: str) -> None:
    """Notes in the data directory where the server is, for commands that print links to it."""
    (settings.data / _ADDRESS).write_text(f"{address}\n", encoding="utf-8")


def kept_address(settings: Settings) -> str:
    """Where a server of this data directory runs, or where one was last started when none tells of itself."""
    try:
        kept = (settings.data / _ADDRESS).read_text(encoding="utf-8").strip()
    except OSError:
        kept = ""
    live = live_addresses(settings.data)
    if live and kept not in live:
        return live[-1]
    return kept or "http://127.0.0.1:8000"


def live_addresses(data: Path) -> list[str]:
    """Where the servers of a data directory are that are alive, each once, the one that started last at the end."""
    found = sorted((one["process"] for one in noticed.read(data)), key=lambda one: one["started_at"])
    return list(dict.fromkeys(one["address"] for one in found if one["address"] and _lives(one)))


def _lives(process: noticed.Process) -> bool:
    """Whether it is there; True for one on another host, which only its file tells of."""
    if process["name"] != f"{socket.gethostname()}-{process['pid']}" or os.name != "posix":
        return True
    try:
        os.kill(process["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


async def sign_in_link(opened: Opened, user_id: UUID, address: str = "") -> str:
    """A new link to ``address`` (default: where a server is) that signs this person in once.

    The token is in its fragment, which no server ever sees.
    """
    from autoforge.access import audit, sessions

    async with opened.database.write() as session:
        token = await sessions.make_link(session, opened.secret, "sign_in", user_id=user_id)
        audit.record(session, None, "sign_in_link_made", "user", user_id)
    return f"{address or kept_address(opened.settings)}/sign-in#token={token}"
