"""One keep-alive connection: sends a request, and reads its answer no further than its length needs."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

_LARGEST_READ = 1 << 18
_CHUNKED = -1


class Lost(Exception):
    """The other side closed, or never was there."""


@dataclass(slots=True)
class Connection:
    """``intended`` is when the request should have been sent, ``sent`` when it was; both in seconds of the clock."""

    address: tuple[str, int]
    socket: socket.socket = field(init=False)
    kind: int = -1
    segment: int = 0
    intended: float = 0.0
    sent: float = 0.0
    _held: bytes = b""
    _need: int = 0

    def __post_init__(self) -> None:
        self.socket = socket.create_connection(self.address, timeout=1)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    @property
    def is_busy(self) -> bool:
        return self.kind >= 0

    def send(self, request: bytes) -> None:
        try:
            if self.socket.send(request) != len(request):
                raise Lost("the request did not fit into the socket")
        except OSError as error:
            raise Lost(str(error)) from error

    def receive(self) -> bytes | None:
        """The whole answer once it is there, None until then. Lost when the other side is gone."""
        try:
            data = self.socket.recv(_LARGEST_READ)
        except BlockingIOError:
            return None
        except OSError as error:
            raise Lost(str(error)) from error
        if not data:
            raise Lost("closed")
        if self._held:
            data = self._held + data
        if self._need == 0:
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                self._need = _length(data, end)
        if self._need == 0 or not _is_whole(data, self._need):
            self._held = data
            return None
        self._held, self._need = b"", 0
        return data

    def close(self) -> None:
        self.socket.close()


def _length(data: bytes, end: int) -> int:
    """Of the whole answer, or that it comes in chunks."""
    place = data.find(b"content-length: ", 0, end)
    if place < 0:
        head = data[:end].lower()
        if b"transfer-encoding: chunked" in head:
            return _CHUNKED
        place = head.find(b"content-length:")
        if place < 0:
            return end + 4
        return end + 4 + int(head[place + 15 :].split(b"\r\n", 1)[0])
    return end + 4 + int(data[place + 16 : data.find(b"\r\n", place)])


def _is_whole(data: bytes, need: int) -> bool:
    return data.endswith(b"0\r\n\r\n") if need == _CHUNKED else len(data) >= need
