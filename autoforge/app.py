"""The web process: puts the rooms together. Nothing else knows them all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from fastapi import Depends, FastAPI
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from autoforge import __version__
from autoforge.access import account_pages, audit_pages, key_pages
from autoforge.access import pages as access_pages
from autoforge.access import routes as access_routes
from autoforge.access.deps import Gate
from autoforge.access.limits import Budgets
from autoforge.analytics import pages as analytics_pages
from autoforge.analytics import routes as analytics_routes
from autoforge.evaluations import pages as evaluation_pages
from autoforge.evaluations import prompt_pages as prompt_evaluation_pages
from autoforge.evaluations import routes as evaluation_routes
from autoforge.evaluations import run_editing, scoring_pages, suite_editing, suite_pages, suite_routes
from autoforge.jobs import pages as job_pages
from autoforge.jobs import routes as job_routes
from autoforge.operations import (
    doctor_pages,
    doctor_routes,
    profile_pages,
    profile_routes,
    scraping,
    service_pages,
    service_routes,
)
from autoforge.operations import pages as operation_pages
from autoforge.operations import routes as operation_routes
from autoforge.operations.measuring import measured
from autoforge.operations.opening import Opened, open_services
from autoforge.operations.watching import watched
from autoforge.operations.working import chosen_executor
from autoforge.prompts import pages as prompt_pages
from autoforge.prompts import routes as prompt_routes
from autoforge.prompts import (
    template_editing,
    template_pages,
    template_routes,
    transfer_pages,
    transfer_routes,
    version_pages,
    version_routes,
)
from autoforge.prompts.serving import PREFIX, ROUTE, Serving
from autoforge.settings import Settings, load_settings
from autoforge.telemetry import logs, traces
from autoforge.users import (
    cleanup_pages,
    cleanup_routes,
    import_pages,
    import_routes,
    workspace_pages,
    workspace_routes,
)
from autoforge.users import pages as user_pages
from autoforge.users import routes as user_routes
from autoforge.web import directory, idempotency, openapi, problems
from autoforge.web.assets import Assets
from autoforge.web.closing import noticing_the_end
from autoforge.web.middleware import Edge
from autoforge.web.parameters import known_parameters
from autoforge.web.rendering import STATIC
from autoforge.web.tracing import Traced
from autoforge.web.turnstile import Turnstile

API = "/api/v1"
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


class Product(FastAPI):
    """The application, with prompts served from memory in front of it."""

    def __init__(self, *, edge: dict[str, Any], **given: Any) -> None:
        super().__init__(**given)
        self.add_middleware(Edge, **edge)
        self.serving = Serving(super().__call__, **{name: edge[name] for name in ("hosts", "proxies", "log_all")})
        self.entrance: ASGIApp = self.serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.entrance(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Without the framework's outer layers, which bound bodies and answer failures, as the edge does."""
        layer: Any = super().build_middleware_stack()
        while not isinstance(layer, Edge):
            layer = layer.app
        return layer


def create(settings: Settings | None = None) -> Product:
    """The application. Its services open with its lifespan and close with it."""
    chosen = settings or load_settings()
    logs.configure(chosen.log_level)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(chosen) as services, measured(services) as app.state.meter:
            app.state.services = services
            app.state.gate = gate = _gate(services)
            app.state.notices = services.database.warnings
            made.serving.open(services.cache, gate)
            try:
                async with watched(services, "server") as app.state.watcher, chosen_executor(services):
                    with noticing_the_end(app):
                        yield
            finally:
                made.serving.close()
                await gate.settle()

    made = Product(
        edge={
            "hosts": {*LOCAL_HOSTS, chosen.host, *_listed(chosen.public_hosts.lower())},
            "most_bytes": chosen.most_body_bytes,
            "proxies": _listed(chosen.trusted_proxies),
            "log_all": chosen.log_requests,
            "turnstile": _turnstile(chosen),
        },
        title="AutoForgeNexus",
        version=__version__,
        lifespan=lifespan,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,  # the stock documentation pages load their scripts from another host
        redoc_url=None,
        # Traces are an option of ours (telemetry.traces); the framework's own would be looked for in every request.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    for part in (problems, idempotency, openapi):
        part.install(made)
    made.router.routes.extend(_routes())
    made.mount("/static", Assets(STATIC), name="static")
    directory.install(made)
    if chosen.traces:
        traces.check()
        made.entrance = Traced(made.serving, {PREFIX: ROUTE})
    return made


def _turnstile(settings: Settings) -> Turnstile:
    places = settings.requests_at_once
    if places is None:
        places = 3 if settings.database_url.startswith("sqlite") else 8
    return Turnstile(places, settings.burst_seconds, settings.patience_seconds, first=(PREFIX,))


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _gate(services: Opened) -> Gate:
    """The local owner stands in for everybody only where nobody has to sign in, which only this machine may reach."""
    settings = services.settings
    local = settings.is_local
    owner = services.owner if local and not settings.sign_in else None
    budgets = Budgets(services.database, settings.requests_per_minute)
    return Gate(services.secret, budgets, secure_cookie=not local, owner=owner)


# What programs ask, below /api/v1, and what people see.
ROUTES = (
    import_routes,
    cleanup_routes,
    access_routes,
    user_routes,
    workspace_routes,
    transfer_routes,  # its fixed addresses come before /prompts/{prompt_id}
    prompt_routes,
    version_routes,
    template_routes,
    suite_routes,
    evaluation_routes,
    analytics_routes,
    job_routes,
    operation_routes,
    service_routes,
    profile_routes,
    doctor_routes,
)
PAGES = (
    import_pages,
    cleanup_pages,  # its fixed address comes before /people/{user_id}
    access_pages,
    account_pages,
    key_pages,
    audit_pages,
    user_pages,
    workspace_pages,
    transfer_pages,  # its fixed addresses come before /prompts/{prompt_id}
    prompt_pages,
    version_pages,
    template_editing,  # its fixed address comes before /templates/{template_id}
    template_pages,
    run_editing,
    scoring_pages,
    suite_editing,  # its fixed address comes before /suites/{suite_id}
    suite_pages,
    evaluation_pages,
    prompt_evaluation_pages,
    analytics_pages,
    job_pages,
    operation_pages,
    service_pages,
    profile_pages,
    doctor_pages,
    scraping,
)


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """Made once in a process: with all their parameters they take a third of a second, and tests make many products."""
    bare = FastAPI(openapi_url=None)
    for room in ROUTES:
        bare.include_router(room.router, prefix=API, dependencies=[Depends(known_parameters)])
    for room in PAGES:
        bare.include_router(room.router, include_in_schema=False)
    return tuple(bare.router.routes)
