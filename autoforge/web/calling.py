"""Calling a route with all that it asks for: parameters, a body of JSON, and what its dependencies make.

The framework works out at every request which parameters and dependencies a route has, in layers that open and close
resources which ours do not have; for a list that takes as long as the database does. What a route needs is known when
the application starts, so here it is worked out once. Each parameter is still read and checked by the framework's own
field. Where one is missing or wrong nothing has been called yet, and the framework does it all and explains.

Only routes with coroutines, an answer that is a ``Response``, and parameters of one value each are called like this.

It saves 0.12 to 0.15 ms of a read and 0.2 to 0.3 ms of a write (docs/decisions.md), and reads attributes of FastAPI
that no version promises: tests/web/test_calling.py asks every route both ways and compares the answers, so that a
version that differs is noticed there. Without this module everything works, slower.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from inspect import iscoroutinefunction
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from fastapi import params
from fastapi.dependencies.models import Dependant
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from autoforge.errors import AutoforgeError

_PLAIN = (type(None), str, int, float)
_SINGLE = (*_PLAIN, bool, UUID)
_UNUSUAL = (
    "cookie_params", "websocket_param_name", "http_connection_param_name",
    "response_param_name", "background_tasks_param_name", "security_scopes_param_name", "own_oauth_scopes",
    "concurrency",
)  # fmt: skip
_ABSENT = object()


class _Unusual(Exception):
    """This is left to the framework."""


@dataclass(frozen=True, slots=True)
class _Field:
    """``key`` is its name in the address, ``default`` _ABSENT where it must be there."""

    name: str
    key: str
    default: Any
    check: Callable[..., tuple[Any, list[Any]]]


@dataclass(frozen=True, slots=True)
class _Step:
    """One call. ``needs`` are arguments that earlier steps made: name, and the place of the step."""

    call: Callable[..., Awaitable[Any]]
    request: str | None
    path: tuple[_Field, ...]
    query: tuple[_Field, ...]
    headers: tuple[_Field, ...]
    needs: tuple[tuple[str, int], ...]


class Call:
    """The calls that answer a request to one route, in order; the last is the route's own function."""

    def __init__(self, steps: tuple[_Step, ...], body: _Field | None) -> None:
        self._steps, self._body = steps, body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        """None when the request is answered. Else nothing was done but reading, and what is returned reads it again."""
        request = Request(scope, receive, send)
        arguments = self._arguments(request)
        if arguments is None:
            return receive
        if (body := self._body) is not None:
            raw = await request.body()
            if not _read_body(body, request, raw, arguments[-1]):
                return _again(raw, receive)
        made: list[Any] = []
        for step, given in zip(self._steps, arguments, strict=True):
            if step.request is not None:
                given[step.request] = request
            for name, place in step.needs:
                given[name] = made[place]
            made.append(await step.call(**given))
        await made[-1](scope, receive, send)
        return None

    def _arguments(self, request: Request) -> list[dict[str, Any]] | None:
        """What each step is given of the address and the head; None when something is missing or wrong."""
        asked: Mapping[str, Any] = request.query_params if request.scope["query_string"] else {}
        arguments = []
        for step in self._steps:
            given: dict[str, Any] = {}
            if not (_read(step.path, request.path_params, given) and _read(step.query, asked, given)):
                return None
            if step.headers and not _read(step.headers, request.headers, given):
                return None
            arguments.append(given)
        return arguments


def _read(fields: tuple[_Field, ...], asked: Mapping[str, Any], given: dict[str, Any]) -> bool:
    for field in fields:
        value = asked.get(field.key)
        if value is not None:
            try:
                value, errors = field.check(value)
            except AutoforgeError:  # a check of ours; but who may not ask is told that first
                return False
            if errors:
                return False
        elif (value := field.default) is _ABSENT:
            return False
        given[field.name] = value
    return True


def _read_body(field: _Field, request: Request, raw: bytes, given: dict[str, Any]) -> bool:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return False
    try:
        value, errors = field.check(json.loads(raw), loc=("body",))
    except (ValueError, RecursionError, AutoforgeError):
        return False
    given[field.name] = value
    return not errors and value is not None


def _again(body: bytes, receive: Receive) -> Receive:
    """``receive`` for somebody who has not seen the body that came from it."""
    unread = [body]

    async def read() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        return await receive()

    return read


def call_of(route: Any) -> Call | None:
    """``route`` is the framework's: with its tree of dependencies. None for one that the framework must call."""
    steps: list[_Step] = []
    try:
        if not issubclass(get_type_hints(route.dependant.call).get("return", object), Response):
            return None
        _add(route.dependant, steps, {})
        return Call(tuple(steps), _body(route.dependant.body_params))
    except (_Unusual, TypeError):  # an answer whose type is no class
        return None


def _add(wanted: Dependant, steps: list[_Step], known: dict[Any, int]) -> int:
    """The place of the step that makes it, added after those that it needs."""
    if wanted.call in known:
        return known[wanted.call]
    if any(getattr(wanted, name) for name in _UNUSUAL) or not wanted.use_cache or not iscoroutinefunction(wanted.call):
        raise _Unusual
    if any(each.body_params for each in wanted.dependencies):
        raise _Unusual
    needs = [(each.name, _add(each, steps, known)) for each in wanted.dependencies]
    kinds = wanted.path_params, wanted.query_params, wanted.header_params
    path, query, headers = (tuple(map(_field, fields)) for fields in kinds)
    named = tuple((name, place) for name, place in needs if name is not None)
    steps.append(_Step(wanted.call, wanted.request_param_name, path, query, headers, named))
    return known.setdefault(wanted.call, len(steps) - 1)


def _body(fields: list[Any]) -> _Field | None:
    """One value that is the whole body, in JSON."""
    if not fields:
        return None
    field, info = fields[0], fields[0].field_info
    if len(fields) > 1 or not isinstance(info, params.Body) or isinstance(info, params.Form) or info.embed:
        raise _Unusual
    return _Field(field.name, field.alias, _ABSENT, field.validate)


def _field(field: Any) -> _Field:
    """One value by one name, with a default that nobody can change."""
    default = _ABSENT if field.field_info.is_required() else field.get_default()
    is_plain = default is _ABSENT or isinstance(default, _PLAIN)
    is_named = field.field_info.validation_alias in (None, field.alias)
    if not is_plain or not is_named or not _is_single(field.field_info.annotation):
        raise _Unusual
    return _Field(field.name, field.alias, default, field.validate)


def _is_single(annotation: Any) -> bool:
    """Whether it means one value: a plain type, or a choice between such."""
    if get_origin(annotation) is Annotated:
        return _is_single(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return all(map(_is_single, get_args(annotation)))
    is_choice = get_origin(annotation) is Literal or (isinstance(annotation, type) and issubclass(annotation, Enum))
    return is_choice or annotation in _SINGLE
