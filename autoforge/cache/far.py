"""Values in Redis, each beside the stamps that its tags had before it was loaded, and the right to compute one.

A value is served only while those stamps are still the present ones in Redis, which are read in the same exchange. So
a value that was loaded before a change can be stored after it, by whatever process and however late, and does no harm.
The right to compute belongs to one key with one set of stamps: who asks after a change does not wait for a computation
that began before it.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from autoforge import __version__
from autoforge.cache.encoding import Unencodable, decode, encode
from autoforge.cache.link import LEASE, Link
from autoforge.cache.near import ABSENT
from autoforge.cache.wire import Command

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


Right = tuple[str, str]
"""To compute a value: the key in Redis that stands for it, and the token of who has it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What Redis had: the present stamps, and the value with the seconds it has left, or ABSENT."""

    stamps: bytes
    value: Any
    left: float


class Far:
    """``prefix`` begins all keys of one installation; values larger than ``most_bytes`` are not kept."""

    def __init__(self, link: Link, prefix: str, most_bytes: int) -> None:
        self.link = link
        self._prefix, self._most_bytes = prefix, most_bytes
        self.refused = 0

    async def fetch(self, key: str, slots: tuple[int, ...]) -> Seen | None:
        """None when Redis is not to be had."""
        replies = await self.link.ask(*self._looks(key, slots))
        return None if replies is None else await self._seen(*replies)

    async def acquire(self, key: str, stamps: bytes, slots: tuple[int, ...]) -> tuple[Right | None, Seen] | None:
        """The right to compute, None when another has it; and what there is now. None when Redis is not to be had.

        Whoever had the right a moment ago may have stored the value since this process looked for it.
        """
        name, token = self._name("l", key, stamps), secrets.token_hex(8)
        take: Command = ("SET", name, token, "NX", "PX", int(LEASE * 1000))
        replies = await self.link.ask(take, *self._looks(key, slots))
        if replies is None:
            return None
        right = None if replies[0] is None else (name, token)
        if right is not None:
            self.link.held[name] = token
        seen = await self._seen(*replies[1:])
        if seen is None:
            if right is not None:
                await self.release(right)
            return None
        return right, seen

    async def store(self, key: str, stamps: bytes, value: object, seconds: float) -> None:
        """Keeps the value for others, if it is one that can be encoded."""
        try:
            data = encode(value)
        except Unencodable:
            self.refused += 1
            return
        if len(data) <= self._most_bytes and seconds >= 0.001:
            blob = len(stamps).to_bytes(4) + stamps + data
            await self.link.ask(("SET", self._name("v", key), blob, "PX", int(seconds * 1000)))

    async def release(self, right: Right) -> None:
        name, token = right
        self.link.held.pop(name, None)
        await self.link.ask(("EVAL", _RELEASE, 1, name, token))

    def _looks(self, key: str, slots: tuple[int, ...]) -> tuple[Command, ...]:
        name = self._name("v", key)
        return ("GET", name), ("PTTL", name), ("HMGET", self.link.wire.stamps, "epoch", *slots)

    async def _seen(self, blob: bytes | None, left: int, stamps: list[bytes | None]) -> Seen | None:
        if stamps[0] is None:
            await self._renew()
            return None
        state = b"|".join(stamp or b"0" for stamp in stamps)
        return Seen(state, _unpacked(blob, state) if left > 0 else ABSENT, left / 1000)

    async def _renew(self) -> None:
        try:
            await self.link.wire.renew()
        except ConnectionError:
            return  # the next exchange says so as well

    def _name(self, kind: str, key: str, stamps: bytes = b"") -> str:
        """Values of another version of the product may look different, so the version is part of the name."""
        digest = hashlib.blake2b(
            f"{__version__}\x1f{key}\x1f".encode("utf-8", "surrogatepass") + stamps, digest_size=16
        )
        return f"{self._prefix}:{kind}:{digest.hexdigest()}"


def _unpacked(blob: bytes | None, state: bytes) -> Any:
    if blob is None:
        return ABSENT
    end = 4 + int.from_bytes(blob[:4])
    if blob[4:end] != state:
        return ABSENT
    try:
        return decode(blob[end:])
    except ValueError:
        return ABSENT
