"""What is looked at before any route sees a request: is it for us, from our own pages, readable, and not too long?

A request that fails here is answered at once (:class:`Refused`), with the same problem document as everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

LONGEST_ADDRESS = 8_192
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_BROKEN_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")

Network = IPv4Network | IPv6Network


class Refused(HTTPException):
    """The request is answered here. Where a route was reading its body meanwhile, FastAPI lets this one through."""

    def __init__(self, status: int, kind: str, title: str, detail: str) -> None:
        super().__init__(status, detail)
        self.kind, self.title = kind, title


def check(scope: Scope, headers: Mapping[bytes, bytes], hosts: frozenset[str], most_bytes: int) -> None:
    """Raises Refused."""
    named = headers.get(b"host", b"")
    host = named.decode("latin-1")
    if not is_for_us(named, hosts):
        raise Refused(421, "wrong-host", "This is not that server", f"The host {host[:200]!r} is not served here.")
    _check_address(scope.get("raw_path") or b"", scope.get("query_string") or b"")
    if scope["method"] not in SAFE:
        _check_origin(headers, host)
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and (len(length) > 15 or int(length) > most_bytes):
        raise too_large(most_bytes)


@lru_cache(maxsize=256)
def is_for_us(host: bytes, hosts: frozenset[str]) -> bool:
    """Whether the ``Host`` header names one of ``hosts``, at whatever port."""
    try:
        return urlsplit(f"//{host.decode('latin-1')}").hostname in hosts
    except ValueError:
        return False


def _check_address(path: bytes, query: bytes) -> None:
    """Percent-encoding that says nothing would otherwise reach the routes as replacement characters."""
    if len(path) + len(query) > LONGEST_ADDRESS:
        detail = f"Path and query may have at most {LONGEST_ADDRESS:,} characters together."
        raise Refused(414, "address-too-long", "The address is too long", detail)
    for part in (path, query):
        if b"%" in part or not part.isascii():
            _check_percents(part)


def _check_percents(part: bytes) -> None:
    title = "The request could not be read"
    if _BROKEN_PERCENT.search(part):
        raise Refused(400, "bad-request", title, "A % in the address must be followed by two hexadecimal digits.")
    decoded = unquote_to_bytes(part)
    try:
        decoded.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(400, "bad-request", title, "The address is not UTF-8 once its percents are decoded.") from None
    if b"\x00" in decoded:
        raise Refused(400, "bad-request", title, "The character U+0000 cannot be part of an address.")


def _check_origin(headers: Mapping[bytes, bytes], host: str) -> None:
    """A browser says where a form was; programs say nothing. What comes from another site is refused."""
    origin = headers.get(b"origin")
    elsewhere = headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site")
    if elsewhere or (origin is not None and origin.decode("latin-1").partition("://")[2] != host):
        raise Refused(403, "wrong-origin", "The request came from another site", "Open the page itself and try there.")


def too_large(most: int) -> Refused:
    return Refused(413, "too-large", "The input is too large", f"A body may have at most {most:,} bytes.")


def bounded(receive: Receive, most: int, scope: Scope | None = None) -> Receive:
    """The same messages, ended with 413 after ``most`` bytes; with ``scope`` their hash is in "autoforge.body"."""
    seen = 0
    hashing = sha256() if scope is not None else None
    if scope is not None:
        scope["autoforge.body"] = hashing

    async def read() -> Message:
        nonlocal seen
        message = await receive()
        body = message.get("body", b"")
        seen += len(body)
        if seen > most:
            raise too_large(most)
        if hashing is not None:
            hashing.update(body)
        return message

    return read


def networks(named: Iterable[str]) -> tuple[Network, ...]:
    return tuple(ip_network(network, strict=False) for network in named)


def forwarded(scope: Scope, headers: Mapping[bytes, bytes], trusted: Sequence[Network]) -> None:
    """Behind a proxy that we trust, and only there: the client and scheme that it names.

    ``X-Forwarded-For`` is read from the right, past our own proxies: what stands left of that anybody may have written.
    """
    client: Any = scope.get("client")
    if not client or not _is_one_of(client[0], trusted):
        return
    for address in reversed(headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")):
        if not _is_address(address.strip()):
            break
        scope["client"] = (address.strip(), 0)
        if not _is_one_of(address.strip(), trusted):
            break
    if headers.get(b"x-forwarded-proto") in (b"http", b"https"):
        scope["scheme"] = headers[b"x-forwarded-proto"].decode()


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_one_of(text: str, networks: Sequence[Network]) -> bool:
    return _is_address(text) and any(ip_address(text) in network for network in networks)
