"""Downloads that read from the database while they are sent, and so hold a connection for as long as the client likes.

Two run at a time in a process, of all kinds together: clients that read slowly, or not at all, then leave connections
to everybody else. A place is taken when the answer begins and is free again once it has ended, in whatever way; so an
answer that never begins takes none. A client that takes nothing for a minute is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from autoforge.errors import Overloaded

MOST = 2
"""At a time: half of the connections of the smallest preset."""
PATIENCE = 60.0
"""Seconds that a client may take until there is room for another piece."""
_RETRY_AFTER = 5


class TooSlow(Exception):
    """The client took nothing for too long. The server cuts the connection: half a file must not look whole."""


class Download(StreamingResponse):
    """A file that is made while it is sent; 503 with Retry-After while two others run.

    ``body`` opens what it reads from when it is begun, and is closed here before the place is somebody else's.
    """

    def __init__(
        self, body: AsyncGenerator[bytes, None], *, media_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(body, media_type=media_type, headers=headers)
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Overloaded comes before anything is sent, and so is answered as any other error of the route."""
        with _place(scope["app"].state):
            async with aclosing(self._body):
                await super().__call__(scope, receive, _bounded(send))


@contextmanager
def _place(state: Any) -> Iterator[None]:
    """One of the places of an application. Nothing is awaited between looking and taking."""
    running: int = getattr(state, "downloads", 0)
    if running >= MOST:
        raise Overloaded("Two downloads are running already. Try again when one is done.", retry_after=_RETRY_AFTER)
    state.downloads = running + 1
    try:
        yield
    finally:
        state.downloads -= 1


def _bounded(send: Send) -> Send:
    async def sent(message: Message) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await send(message)
        except TimeoutError:
            raise TooSlow(f"a client took nothing for {PATIENCE:g} seconds") from None

    return sent
