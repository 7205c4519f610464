"""The directory of routes finds what the router would find, and leaves to it what it would not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi.routing import iter_route_contexts
from starlette.routing import Match

from autoforge.app import create
from autoforge.web.directory import Directory
from tests.web.site import settings

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def by_the_router(app: Any, path: str, method: str) -> Any:
    """Endpoint and parameters of the route that the framework takes; None when it takes none, or none of ours."""
    for route in app.router.routes:
        scope = {"type": "http", "path": path, "method": method, "root_path": ""}
        if not hasattr(route, "_match"):
            if route.matches(scope)[0] is Match.FULL:
                return None
            continue
        match, found, inner, context = route._match(scope)
        while match is Match.FULL and context is None:  # a router within the router
            match, found, inner, context = inner._match(scope)
        if match is Match.FULL:
            return found["endpoint"], found["path_params"]
    return None


def paths_of(app: Any) -> list[str]:
    """Of every route: its address with odd and with usual parameters, and addresses near it."""
    made = []
    for one in iter_route_contexts(app.router.routes):
        template = (one.path or "").replace(":path", "")
        for value in ("x1", "new", "a.b@1", "served"):
            path = template
            for name in one.param_convertors:
                path = path.replace(f"{{{name}}}", value)
            made += [path, path + "/", path + "/more/still", path.rpartition("/")[0]]
    return sorted(set(made))


def test_it_finds_what_the_router_finds(tmp_path: Path) -> None:
    app = create(settings(tmp_path))
    directory = Directory(app.router)
    found = 0
    for path in paths_of(app):
        for method in METHODS:
            expected = by_the_router(app, path, method)
            place = directory.find(path, method)
            assert (place and (place[0].known.endpoint, place[1])) == expected, (method, path)
            found += expected is not None
    assert found > 300
