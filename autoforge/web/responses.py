"""JSON straight from rows: column rows become dictionaries, dictionaries become bytes, and nothing in between.

Ids, times and floats are written by msgspec: ids as canonical UUID text, times as RFC 3339 in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

PRIVATE = "private, no-cache"


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response that may be kept by the one who asked, and must be checked before it is used again."""
    return json_bytes_response(msgspec.json.encode(body), status, headers)


def json_bytes_response(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """:func:`json_response` of what is JSON already."""
    response = Response(body, status, headers, media_type="application/json")
    response.headers.setdefault("Cache-Control", PRIVATE)
    return response


def raw_json(text: str | None) -> msgspec.Raw | None:
    """JSON that is stored as text, put into a body as it is."""
    return None if text is None else msgspec.Raw(text.encode())


def budget(statements: int) -> dict[str, Any]:
    """``openapi_extra`` of a read route: how many statements it may cost at most, whatever the data."""
    return {"x-query-budget": statements}
