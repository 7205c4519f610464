"""Lists: ``?limit=50&after=<cursor>&sort=-created_at`` in, ``{"items": [...], "next": cursor or null}`` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from starlette.responses import Response

from autoforge.web.responses import json_response

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


def listing(request: Request, items: Sequence[Any], following: str | None) -> Response:
    """One page, with a ``Link`` header (RFC 8288) to the next."""
    headers = {}
    if following is not None:
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
        headers["Link"] = f'<{request.url.path}?{urlencode([*query, ("after", following)])}>; rel="next"'
    return json_response({"items": items, "next": following}, headers=headers)


def pager(following: str | None, shown: int, total: str | None = None) -> dict[str, Any]:
    """What the foot of a list on a page says: how many rows it shows, of how many, and the way to the next page."""
    return {"next": following, "shown": shown, "total": total}
