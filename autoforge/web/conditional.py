"""ETags from row versions: a reader that has the newest row gets 304, a writer that has an older one gets 412.

A tag is strong and names one representation: the row's version, and whatever else shapes the bytes (fields asked
for); the edge adds the encoding (:mod:`autoforge.web.compression`). RFC 9110, sections 8.8.3 and 13.1.
"""

from __future__ import annotations

import re
from hashlib import blake2s
from typing import Annotated

from fastapi import Depends, Header, Request
from starlette.responses import Response

from autoforge.errors import BadInput, Stale
from autoforge.web.responses import PRIVATE

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_VERSION = re.compile(r"[0-9]{1,9}")


def etag(*parts: object) -> str:
    return '"' + ".".join(str(part) for part in parts) + '"'


def content_tag(body: bytes) -> str:
    """The tag of what has no version of its own: a hash of its bytes."""
    return f'"{blake2s(body, digest_size=12).hexdigest()}"'


def not_modified(request: Request, tag: str) -> Response | None:
    """The 304 that answers ``If-None-Match``, or None when the body has to be sent (weak comparison)."""
    header = request.headers.get("if-none-match")
    return unchanged(tag) if header is not None and names(header, tag) else None


def names(header: str, tag: str) -> bool:
    """Whether an ``If-None-Match`` names this tag."""
    return header.strip() == "*" or tag[1:-1] in {found[2] for found in _TAG.finditer(header)}


def unchanged(tag: str) -> Response:
    """The 304 itself."""
    return Response(status_code=304, headers={"ETag": tag, "Cache-Control": PRIVATE})


def with_content_tag(request: Request, response: Response) -> Response:
    """The response tagged by its bytes; 304 when the reader has them. It saves the line, not the work."""
    tag = content_tag(bytes(response.body))
    response.headers["ETag"] = tag
    return not_modified(request, tag) or response


def expected_version(request: Request) -> int | None:
    """The row version that ``If-Match`` asks for; None when the writer does not care.

    BadInput for what is no single entity tag, Stale for one that no row of ours can have (a weak one, for example).
    """
    header = request.headers.get("if-match")
    if header is None or header.strip() == "*":
        return None
    found = _TAG.fullmatch(header.strip())
    if found is None:
        raise BadInput.at("If-Match", 'If-Match takes the ETag that a read answered with, such as "3".')
    version = found[2].partition(".")[0]
    if found[1] or not _VERSION.fullmatch(version):
        raise Stale("If-Match names no version of this. Read it again, then repeat with its ETag.")
    return int(version)


async def _expected(
    request: Request,
    if_match: Annotated[
        str | None,
        Header(alias="If-Match", description="The ETag that a read answered with; 412 when it is no longer current."),
    ] = None,
) -> int | None:
    return expected_version(request)


Expected = Annotated[int | None, Depends(_expected)]
"""A parameter of a writing route: the row version that ``If-Match`` asks for."""
