"""Every error as one shape: ``application/problem+json`` (RFC 9457) for programs, a page for people.

Code below this layer raises :mod:`autoforge.errors`; here, and only here, an error becomes a response. People get the
page when the address is not below ``/api`` and their browser asks for HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match

from autoforge.errors import (
    AutoforgeError,
    BadInput,
    DatabaseTimeout,
    DatabaseUnavailable,
    FieldError,
    Overloaded,
    TooManyRequests,
    Unauthenticated,
    pointer_to,
)
from autoforge.telemetry.lasting import Seldom
from autoforge.web.arrivals import Refused
from autoforge.web.html import page
from autoforge.web.links import with_query


class FieldProblem(BaseModel):
    pointer: str
    message: str


class Problem(BaseModel):
    """The one shape of every error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem]
    request_id: str


DESCRIPTIONS = {
    400: "The request could not be read",
    401: "Sign in, or send an API key",
    403: "Not allowed, or sent from another site",
    404: "It does not exist, or not for you",
    405: "This address does not take that method; Allow names those it takes",
    409: "It contradicts what is stored",
    412: "It was changed in the meantime",
    413: "The body is too large",
    414: "The address is too long",
    415: "The body is of a kind that is not read here",
    421: "The Host header names another server",
    422: "The input is not valid; errors point at the fields",
    429: "Too many requests; try again after Retry-After seconds",
    500: "A fault of ours, logged under the request id",
    503: "Too busy, or the database does not answer; try again after Retry-After seconds",
    504: "The database took too long",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description, "content": {"application/problem+json": {}}}
    for status, description in DESCRIPTIONS.items()
}
"""``responses=`` of a router: every error that any request may end in (:mod:`autoforge.web.openapi` writes them)."""

log = structlog.get_logger(__name__)

_SELDOM = Seldom()
_KINDS = {
    400: ("bad-request", "The request could not be read"),
    401: ("unauthenticated", "Sign in first"),
    403: ("forbidden", "You may not do this"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "This address does not take that method"),
    413: ("too-large", "The input is too large"),
    415: ("unsupported-media-type", "This address does not take that kind of content"),
}
_DETAILS = {400: "The body could not be read: it is not what its Content-Type says.", 404: "There is nothing here."}
_OF_THE_ROUTE = ("endpoint", "path_params", "route", "router", "fastapi")


def problem(
    request: Request,
    status: int,
    kind: str,
    title: str,
    detail: str,
    errors: Sequence[FieldError] = (),
    more: Mapping[str, Any] | None = None,
) -> Response:
    """The response for one error; ``kind`` becomes ``type``, a stable address that programs can test for.

    ``more`` are members of the one problem that needs them (RFC 9457, section 3.2).
    """
    body: dict[str, Any] = {
        "type": f"urn:autoforge:problem:{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        "errors": [{"pointer": error.pointer, "message": error.message} for error in errors],
        "request_id": request.scope.get("request_id", ""),
        **(more or {}),
    }
    if _for_people(request):
        return page(request, "error.html", {"problem": body}, status=status)
    return Response(msgspec.json.encode(body), status, media_type="application/problem+json")


def _for_people(request: Request) -> bool:
    if "app" not in request.scope or request.scope["path"].startswith("/api/"):
        return False
    return "text/html" in request.headers.get("accept", "")


async def expected(request: Request, error: Exception) -> Response:
    assert isinstance(error, AutoforgeError)
    if isinstance(error, Unauthenticated) and _for_people(request) and request.method == "GET":
        return RedirectResponse(with_query("/sign-in", {"next": _address(request)}), status_code=303)
    if isinstance(error, DatabaseUnavailable | DatabaseTimeout):
        _note(request, error)
    response = problem(request, error.status, error.kind, error.title, error.detail, error.errors)
    if isinstance(error, Overloaded | TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _note(request: Request, error: AutoforgeError) -> None:
    """The database failed somebody, which the operator has to read of; while it lasts, now and then."""
    left_out = _SELDOM.left_out(f"{error.kind} {error.detail[:200]}")
    if left_out is not None:
        about = {"method": request.method, "path": request.url.path, "status": error.status, "error": error.detail}
        log.error("the database failed", **about, left_out=left_out, request_id=request.scope.get("request_id", ""))


def _address(request: Request) -> str:
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


def _pointer(place: Sequence[Any]) -> str:
    """FastAPI's location (``("body", "messages", 0)``) as a JSON Pointer; parameters as ``?name``, ``{name}`` where
    they are part of the path, and ``Name`` of a header."""
    if not place:
        return ""
    head, *rest = place
    if head == "body":
        return pointer_to(*rest)
    shapes = {"query": "?%s", "path": "{%s}", "header": "%s"}
    return shapes[head] % rest[0] if head in shapes and rest else "/".join(map(str, place))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    first = errors[0] if errors else {}
    if first.get("type") == "json_invalid":
        where = f"{first['ctx']['error']} at character {first['loc'][-1]}"
        return problem(request, 400, *_KINDS[400], f"The body is not JSON: {where}.")
    if first.get("loc") == ("body",) and isinstance(error.body, bytes) and error.body:
        return problem(request, 415, *_KINDS[415], "Send JSON, with the header Content-Type: application/json.")
    found = [FieldError(_pointer(one.get("loc", ())), one.get("msg", "invalid")) for one in errors[:100]]
    detail = found[0].message if len(errors) == 1 else f"{len(errors)} things are wrong; see errors."
    return problem(request, 422, BadInput.kind, BadInput.title, detail, found)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, Refused):
        return refused(request, error)
    if error.status_code == 400 and isinstance(error.__cause__, RecursionError):
        return await _too_deep(request, error)
    phrase = HTTPStatus(error.status_code).phrase
    kind, title = _KINDS.get(error.status_code, (phrase.lower().replace(" ", "-"), phrase))
    if error.status_code == 405:
        return _wrong_method(request, kind, title, (error.headers or {}).get("Allow", ""))
    detail = str(error.detail)
    response = problem(request, error.status_code, kind, title, _DETAILS.get(error.status_code, detail))
    response.headers.update(error.headers or {})
    return response


def _wrong_method(request: Request, kind: str, title: str, known: str) -> Response:
    """405 with all methods of the address, whatever route they belong to; OPTIONS asks for just these."""
    allowed = known if request.scope.get("root_path") else ", ".join(methods_of(request))
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": allowed})
    if request.method in ("GET", "HEAD") and _for_people(request):
        return RedirectResponse(_page_above(request), status_code=303)
    detail = f"{request.method} is not one of the methods of this address: {allowed}."
    response = problem(request, 405, kind, title, detail)
    response.headers["Allow"] = allowed
    return response


def _page_above(request: Request) -> str:
    """The nearest address above that is a page: what a form posts to, opened by hand, leads to the form.

    That is what the address bar holds after an error; where the form is elsewhere, a route of its own says so.
    """
    path = request.scope["path"]
    while path.count("/") > 1:
        path = path.rpartition("/")[0]
        if _takes(request, "GET", path=path):
            return str(path)
    return "/"


def methods_of(request: Request) -> list[str]:
    """The methods that some route takes at this address; HEAD wherever GET, and OPTIONS always."""
    found = [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if _takes(request, method)]
    return [*found, *(["HEAD"] if "GET" in found else []), "OPTIONS"]


def _takes(request: Request, method: str, **other: str) -> bool:
    scope = {name: value for name, value in request.scope.items() if name not in _OF_THE_ROUTE}
    scope |= {"method": method, **other}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)


def refused(request: Request, error: Refused) -> Response:
    return problem(request, error.status_code, error.kind, error.title, error.detail)


async def _too_deep(request: Request, _error: Exception) -> Response:
    return problem(request, 422, BadInput.kind, BadInput.title, "The JSON is nested too deeply to be read.")


async def unexpected(request: Request, error: Exception) -> Response:
    """500. What went wrong is in the log, under the request id, and not in the answer."""
    log.error("unexpected error", path=request.url.path, error=type(error).__name__, exc_info=error)
    detail = "This is a fault of ours, and it has been logged under the request id."
    return problem(request, 500, AutoforgeError.kind, AutoforgeError.title, detail)


def install(app: FastAPI) -> None:
    app.add_exception_handler(AutoforgeError, expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, unexpected)
