"""Answers for people: a page, or a redirect after a form with a message that is shown once."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from fastapi import Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from autoforge.cache import Cache, Kind, cache_key
from autoforge.web.links import Links
from autoforge.web.rendering import Flash, Page, render

_FLASH = "flash"


def page(request: Request, template: str, context: Mapping[str, Any], *, status: int = 200) -> Response:
    """The HTML of ``template``; messages left by the form before are shown, and forgotten."""
    flashes = _read(request.cookies.get(_FLASH))
    about = Page(
        path=request.url.path,
        query=request.query_params.multi_items(),
        flashes=flashes,
        notices=getattr(request.app.state, "notices", ()),
        **_who(request),
    )
    text = render(template, about, context).replace("\0", "\ufffd")  # typed by somebody, and no HTML may hold it
    response = HTMLResponse(text, status, {"Cache-Control": "private, no-store"})
    if flashes:
        response.delete_cookie(_FLASH)
    return response


async def kept_part(
    request: Request,
    cache: Cache,
    template: str,
    tags: Sequence[str],
    read: Callable[[], Awaitable[Mapping[str, Any]]],
    *,
    keep: bool = True,
) -> Markup:
    """The HTML of ``template``, a part of a page, about what ``read`` finds; kept until one of ``tags`` changes.

    It depends on the address and on what is read: it is told neither who asks nor what they may do. What is kept is
    packed: tables repeat themselves. Without ``keep`` it is made anew: for what is not seen again and again.
    """

    async def load() -> bytes:
        about = Page(request.url.path, request.query_params.multi_items(), Links(request.path_params["workspace"]))
        return zlib.compress(render(template, about, await read()).encode(), 1)

    key = cache_key("part", template, request.scope["path"], request.scope["query_string"])
    packed = await (cache.get_or_load(key, Kind.LISTS, tags, load) if keep else load())
    return Markup(zlib.decompress(packed).decode())


def _who(request: Request) -> dict[str, Any]:
    """What the frame of a page says of the one who asks; access has left it where any room may find it."""
    workspace = request.path_params.get("workspace")
    actor = request.scope.get("autoforge.actor")
    if actor is None:
        return {"links": Links(workspace or "main")}
    links = Links(workspace or actor.workspace_slug)
    place = actor.workspace_name if links.workspace == actor.workspace_slug else ""
    return {"links": links, "user": actor.user_name, "role": actor.role, "may": actor.may, "place": place}


def seen(
    address: str, text: str, kind: str = "done", *, undo: str = "", undo_fields: Mapping[str, object] | None = None
) -> Response:
    """303 to ``address``, where ``text`` is shown once. ``kind`` is ``done``, ``info`` or ``failed``.

    With ``undo`` there is a button beside the text that posts ``undo_fields`` to that page of ours.
    """
    response = RedirectResponse(address, status_code=303)
    fields = {name: str(value) for name, value in (undo_fields or {}).items()}
    packed = base64.urlsafe_b64encode(msgspec.json.encode([text[:500], kind, undo, fields])).decode()
    response.set_cookie(_FLASH, packed, max_age=60, httponly=True, samesite="lax")
    return response


def _read(cookie: str | None) -> tuple[Flash, ...]:
    """What the cookie says; one that somebody made up says nothing."""
    try:
        packed = base64.urlsafe_b64decode(cookie or "")
        text, kind, undo, fields = msgspec.json.decode(packed, type=tuple[str, str, str, dict[str, str]])
    except (msgspec.DecodeError, binascii.Error, ValueError):
        return ()
    if not undo.startswith(("/w/", "/people/")):
        undo = ""
    return (Flash(text, kind if kind in ("done", "info", "failed") else "info", undo, fields),)
