"""One worker of ``autoforge serve``: granian with the application, on a socket that the supervisor holds.

Between granian and the application stands a door that costs a call. It tells the supervisor when the application is
ready, and closes in two steps when this worker is to be replaced:

* It accepts no more connections: what nobody has accepted yet waits in the socket's queue for the successor. Granian
  has no word for that; another socket, which nobody ever connects to, takes the place of the listening one.
* All answers say ``Connection: close``. A client that asks now and then leaves with a complete answer, and connects
  anew. So when the worker ends, only those connections are closed that carried no request for all that time.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import sys
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autoforge.settings import BACKLOG
from autoforge.web.closing import close_soon

_IDLE = 75_000
"""Milliseconds that a connection may wait for its next request: longer than proxies keep theirs, so that it is they who
hang up, and not we while they send."""
_CLOSE = (b"connection", b"close")


class Door:
    """The application as granian sees it."""

    def __init__(self, app: Any, channel: socket.socket, listening: int) -> None:
        self._app: ASGIApp = app
        self._state = app.state
        self._channel, self._listening = channel, listening
        self._closing = False

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        if self._closing and scope["type"] == "http" and scope["http_version"].startswith("1"):
            send = partial(_send_last, send)
        elif scope["type"] == "lifespan":
            return self._live(scope, receive, send)
        return self._app(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                _keep_what_stays()
                self._channel.send(b"ready\n")

        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel.fileno(), self._hear)
        try:
            await self._app(scope, receive, sent)
        finally:
            loop.remove_reader(self._channel.fileno())

    def _hear(self) -> None:
        said = self._channel.recv(64)
        close_soon(self._state)
        if b"hand over" in said:
            self._closing = True
            _accept_no_more(self._listening)
        elif not said:  # the supervisor is gone
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            os.kill(os.getpid(), signal.SIGTERM)


def _keep_what_stays() -> None:
    """What start-up made lives as long as the process: the garbage collector need not look at it again.

    It would otherwise stop everything for 100 ms and more now and then, and look at the young at every seven hundredth.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 20)


async def _send_last(send: Send, message: Message) -> None:
    if message["type"] == "http.response.start":
        message = {**message, "headers": [*message["headers"], _CLOSE]}
    await send(message)


def _accept_no_more(listening: int) -> None:
    """Whoever accepts on this descriptor finds nobody there any more."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        nobody.listen(1)
        nobody.setblocking(False)
        os.dup2(nobody.fileno(), listening, inheritable=False)


def serve(place: int, listening: int, channel: int) -> None:
    """Until SIGTERM, on an open socket, answering to the supervisor at the other end of ``channel``."""
    from granian import net
    from granian.constants import Interfaces, Loops, RuntimeModes
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
    from granian.server.mp import MPServer

    ends = socket.socket(fileno=channel)

    def door() -> Door:
        from autoforge.app import create

        return Door(create(), ends, listening)

    patient = HTTP1Settings(header_read_timeout=_IDLE)
    options: dict[str, Any] = {
        "http1_settings": patient,
        "interface": Interfaces.ASGI,
        "loop": Loops.auto,
        "runtime_mode": RuntimeModes.mt,
    }
    server: Any = MPServer("autoforge.app:create", log_level=LogLevels.warning, backlog=BACKLOG, **options)
    holder: Any = net.SocketHolder  # type: ignore[attr-defined]
    # Granian would bind sockets and start processes of its own here; this is one, and has its socket. What it would
    # have given to a process of its own is what it is given here.
    server._ssp, server._shd, server._sso = None, holder(listening, False, BACKLOG), None
    server._spawn_worker(place - 1, server._spawn_asgi_lifespan_worker, door).inner.run()


if __name__ == "__main__":
    gc.disable()  # until all is there: nearly everything that starting makes, stays
    sys.modules["rich"] = None  # type: ignore[assignment]  # structlog would load it, for colours that no worker prints
    serve(**json.loads(sys.argv[1]))
