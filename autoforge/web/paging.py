"""Lists: ``?limit=50&after=<cursor>&sort=-created_at`` in, ``{"items": [...], "next": cursor or null}`` out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from fastapi import Depends, Query, Request
from starlette.responses import Response

from autoforge.cache import Cache, Kind, cache_key
from autoforge.web.responses import json_bytes_response

MOST = 200


After = Annotated[str | None, Query(max_length=4_000)]
Words = Annotated[str, Query(max_length=200)]
"""What the addresses of pages hold: the cursor of the page before, and what somebody typed or chose."""


@dataclass(frozen=True, slots=True)
class PageAsked:
    """How many rows, and after which cursor."""

    limit: int
    after: str | None


async def _asked(
    limit: Annotated[int, Query(ge=1, le=MOST, description="Rows per page.")] = 50,
    after: Annotated[str | None, Query(max_length=4_000, description="The `next` of the page before.")] = None,
) -> PageAsked:
    return PageAsked(limit, after)


Paged = Annotated[PageAsked, Depends(_asked)]


Rows = tuple[Sequence[Any], str | None]
"""The items of a page, and the cursor of the next (or None)."""


def listing(request: Request, items: Sequence[Any], following: str | None) -> Response:
    """One page, with a ``Link`` header (RFC 8288) to the next."""
    return _page(request, _encoded(items, following), following)


async def remembered_listing(
    request: Request, cache: Cache, about: Sequence[object], tags: Sequence[str], read: Callable[[], Awaitable[Rows]]
) -> Response:
    """:func:`listing` of what ``read`` finds, kept ready to send until one of ``tags`` changes (specification F3).

    ``about`` is what the answer depends on besides the address: the workspace, and the person where that matters. Kept
    is what many open again and again, the first page of a list. What follows it, or is searched for, is read each time.
    """
    query = request.query_params
    if "after" in query or "q" in query:
        return listing(request, *await read())

    async def load() -> tuple[bytes, str | None]:
        items, following = await read()
        return _encoded(items, following), following

    key = cache_key("list", request.scope["path"], request.scope["query_string"], *about)
    return _page(request, *await cache.get_or_load(key, Kind.LISTS, tags, load))


def _encoded(items: Sequence[Any], following: str | None) -> bytes:
    return msgspec.json.encode({"items": items, "next": following})


def _page(request: Request, body: bytes, following: str | None) -> Response:
    headers = {}
    if following is not None:
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
        headers["Link"] = f'<{request.url.path}?{urlencode([*query, ("after", following)])}>; rel="next"'
    return json_bytes_response(body, headers=headers)


def pager(following: str | None, shown: int, total: str | None = None) -> dict[str, Any]:
    """What the foot of a list on a page says: how many rows it shows, of how many, and the way to the next page."""
    return {"next": following, "shown": shown, "total": total}
