"""``GET /metrics``: what Prometheus scrapes. ``docs/metrics.md`` says what there is and who may see it."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request
from starlette.responses import Response

from autoforge.access.deps import identify
from autoforge.errors import Unauthenticated
from autoforge.operations.measuring import Meter
from autoforge.settings import Settings
from autoforge.web.responses import budget

router = APIRouter()


@router.get("/metrics", openapi_extra=budget(12))
async def metrics(request: Request) -> Response:
    """In Prometheus' text format, or OpenMetrics where that is asked for."""
    meter: Meter = request.app.state.meter
    await _check(request, request.app.state.services.settings)
    body, content_type = await meter.scrape(request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})


async def _check(request: Request, settings: Settings) -> None:
    """The configured token, or somebody who may read about the server; everybody where only this machine can ask."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    expected = settings.metrics_token
    if expected is not None:
        secret = expected.get_secret_value().encode()
        if kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), secret):
            return
    elif is_open(settings) and not given:
        return
    try:
        actor = await identify(request)
    except Unauthenticated as error:
        raise Unauthenticated(
            "Metrics need the configured token or an API key, as `Authorization: Bearer ...`."
        ) from error
    actor.needs("server:read")


def is_open(settings: Settings) -> bool:
    """Whether only this machine can ask: nothing listens for others, and no proxy passes their requests on."""
    return settings.is_local and not settings.trusted_proxies and not settings.public_hosts
