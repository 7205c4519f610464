"""The limit that our server cannot pass: the same HTTP server with an application that only sends bytes."""

from __future__ import annotations

import sys
from typing import Any

BODY = b"x" * 1_150
"""As long as a served prompt of the measurement."""
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())],
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send(_START)
        await send({"type": "http.response.body", "body": BODY})


def main() -> None:
    from granian import Granian
    from granian.constants import Interfaces, Loops

    Granian(
        "bench.bare:app", address="127.0.0.1", port=int(sys.argv[1]), interface=Interfaces.ASGI, loop=Loops.auto,
        workers=1, backlog=2_048, log_level="warning",  # type: ignore[arg-type]
    ).serve()  # fmt: skip


if __name__ == "__main__":
    main()
