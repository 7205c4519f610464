"""Finding the route of an address at once, instead of asking all of them in turn, twice.

The framework asks every route of every router whether it is the one, and asks again inside of the router that it has
chosen: for some 180 routes that takes as long as most answers. This directory is asked first. It knows all routes by
the fixed parts of their addresses, leaves the last word to each route's own pattern, and keeps their order. What it
does not find (another method, a redirect, what is mounted, a mistake) goes to the router, which then looks and answers
as it always did.

It finds in 5 µs what took the routers 150 (docs/decisions.md). tests/web/test_directory.py compares it with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.types import ASGIApp, Receive, Scope, Send

from autoforge.web.calling import Call, call_of


@dataclass(frozen=True, slots=True)
class _Place:
    """A route in the order in which the router would ask. ``known`` is None for one that only the router can handle,
    ``call`` for one that only the framework can."""

    number: int
    pattern: Any
    methods: frozenset[str]
    convertors: dict[str, Any]
    route: Any
    known: Any
    call: Call | None


@dataclass(slots=True)
class _Shelf:
    """Routes by the next part of their address; ``open`` are those that have a parameter there, or whatever follows."""

    parts: dict[str, _Shelf] = field(default_factory=dict)
    any_part: _Shelf | None = None
    end: list[_Place] = field(default_factory=list)
    open: list[_Place] = field(default_factory=list)


class Directory:
    """Stands before ``router`` and takes its requests; made once all routes are there."""

    def __init__(self, router: Any) -> None:
        self._router: Any = router
        self._otherwise: ASGIApp = router.middleware_stack
        self._root = _Shelf()
        for number, one in enumerate(iter_route_contexts(router.routes)):
            self._add(number, one)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["root_path"] and "fastapi.telemetry" not in scope:
            found = self.find(scope["path"], scope["method"])
            if found is not None:
                place, parameters = found
                scope["router"] = self._router
                scope["endpoint"], scope["path_params"] = place.known.endpoint, parameters
                scope["route"] = place.route
                scope["fastapi"] = {"effective_route_context": place.known}
                unread = receive if place.call is None else await place.call(scope, receive, send)
                if unread is not None:
                    await place.known.app(scope, unread, send)
                return
        await self._otherwise(scope, receive, send)

    def find(self, path: str, method: str) -> tuple[_Place, dict[str, Any]] | None:
        """The first route that takes this method at this address, with what its parameters are."""
        places = list(_candidates(self._root, path.split("/"), 1))
        if len(places) > 1:
            places.sort(key=lambda place: place.number)
        for place in places:
            matched = place.pattern.match(path)
            if matched is None:
                continue
            if place.known is None:
                return None
            if method in place.methods:
                named = matched.groupdict()
                for name in named:
                    named[name] = place.convertors[name].convert(named[name])
                return place, named
        return None

    def _add(self, number: int, one: RouteContext) -> None:
        path, known = one.path or "", one._route_context
        ours = isinstance(one.original_route, APIRoute) and known is not None
        methods = frozenset(one.methods or ()) if ours else frozenset()
        matching = one.path_regex, methods, one.param_convertors
        place = _Place(number, *matching, one.original_route, known if ours else None, call_of(known) if ours else None)
        shelf = self._root
        parts = path.split("/")[1:]
        for part in parts:
            if not ours and part == parts[-1]:
                break  # what is mounted takes all that is below it
            if ":" in part or (("{" in part or "}" in part) and not part.startswith("{")):
                break  # several parts, or part of one: its pattern decides
            if part.startswith("{"):
                shelf.any_part = shelf = shelf.any_part or _Shelf()
            else:
                shelf = shelf.parts.setdefault(part, _Shelf())
        else:
            shelf.end.append(place)
            return
        shelf.open.append(place)


def _candidates(shelf: _Shelf, parts: list[str], at: int) -> Iterator[_Place]:
    yield from shelf.open
    if at == len(parts):
        yield from shelf.end
        return
    if (fixed := shelf.parts.get(parts[at])) is not None:
        yield from _candidates(fixed, parts, at + 1)
    if shelf.any_part is not None:
        yield from _candidates(shelf.any_part, parts, at + 1)


def install(app: FastAPI) -> None:
    """Call it when all routes are included."""
    app.router.middleware_stack = Directory(app.router)
