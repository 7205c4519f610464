"""Who is asking: the dependency that every route which reads or changes something of a workspace takes.

People come with a session cookie, programs with ``Authorization: Bearer <api key>``. Either costs one statement, and
none while it is cached, which ends when access is taken away: at once on the same host, elsewhere within two seconds.
What the request needs is told by its address and method: reading or writing in the area that its path begins with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import Depends, Request
from sqlalchemy import bindparam, update

from autoforge.access import Actor, queries
from autoforge.access.limits import Budgets
from autoforge.access.sessions import ACCESS
from autoforge.access.tokens import digest
from autoforge.cache import Kind, cache_key
from autoforge.db import Database, clock, named
from autoforge.db import models as m
from autoforge.errors import AutoforgeError, Forbidden, NotFound, Unauthenticated
from autoforge.web.deps import Services

log = structlog.get_logger(__name__)

Known = tuple[Actor, datetime | None]
"""Who asks, and when their key or session ends."""

COOKIE = "autoforge_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SEEN_EVERY = timedelta(minutes=1)
_AREAS = {
    "compare": "evaluations",
    "palette": "prompts",
    "samples": "prompts",
    "workspaces": "users",
    "people": "users",
    "settings": "users",
    "operations": "server",
}
_KEY_IN_CACHE = cache_key(ACCESS, "")
_KEY_SEEN = named(
    "access.key_seen", update(m.ApiKey).where(m.ApiKey.id == bindparam("this")).values(last_used_at=bindparam("now"))
)
_SESSION_SEEN = named(
    "access.session_seen",
    update(m.SignInSession).where(m.SignInSession.id == bindparam("this")).values(seen_at=bindparam("now")),
)


@dataclass(slots=True)
class Gate:
    """What this process needs to tell who is asking; lives in ``app.state.gate``.

    ``owner`` is set where nobody has to sign in (a setting for one's own machine): everybody is the local owner then.
    """

    secret: bytes
    budgets: Budgets
    secure_cookie: bool = False
    owner: Actor | None = None
    background: set[asyncio.Task[None]] = field(default_factory=set)

    async def settle(self) -> None:
        """Waits for what is still written beside the requests; for the end of the process."""
        await asyncio.gather(*self.background, return_exceptions=True)


def area_of(path: str) -> str:
    """The permission area of an address: ``/api/v1/prompts/...`` and ``/w/main/prompts`` are both prompts."""
    parts = path.split("/")
    place = 3 if parts[1] in ("api", "w") else 1  # "/api/v1/AREA" and "/w/WORKSPACE/AREA", but "/AREA"
    name = parts[place] if len(parts) > place else ""
    return _AREAS.get(name, name) or "prompts"


async def identify(request: Request) -> Actor:
    """The one who asks. Unauthenticated without valid credentials, NotFound for a workspace that is not theirs."""
    actor = await _identify(request)
    request.scope["autoforge.actor"] = actor
    return actor


async def _identify(request: Request) -> Actor:
    gate: Gate = request.app.state.gate
    slug = request.path_params.get("workspace")
    kind, _, key = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and key:
        return await _by_key(request, gate, key.strip(), slug)
    slug = slug or request.headers.get("x-workspace")
    if token := request.cookies.get(COOKIE):
        try:
            return await _by_session(request, gate, token, slug)
        except Unauthenticated:
            if gate.owner is None:
                raise  # else it is a cookie from another time, or of another server on this machine
    if gate.owner is not None:
        return await _as_owner(request, gate.owner, slug)
    raise Unauthenticated("Sign in, or send an API key as `Authorization: Bearer ...`.")


async def _as_owner(request: Request, owner: Actor, slug: str | None) -> Actor:
    """The owner where nobody signs in, in the workspace that is asked for; no statement for the one they start in."""
    if slug is None or slug == owner.workspace_slug:
        return owner
    services: Services = request.app.state.services

    async def load() -> Actor | None:
        async with services.database.read() as session:
            return await queries.in_workspace(session, owner.user_id, slug)

    key = cache_key(ACCESS, owner.user_id.hex, slug)
    found = await services.cache.get_or_load(key, Kind.ACCESS, (ACCESS,), load)
    if found is None:
        raise NotFound(f"There is no workspace {slug!r}, or you are not a member of it.")
    return found


def _in_workspace(actor: Actor, slug: str | None) -> Actor:
    if slug is not None and slug != actor.workspace_slug:
        raise NotFound(f"There is no workspace {slug!r}, or you are not a member of it.")
    return actor


async def _by_key(request: Request, gate: Gate, key: str, slug: str | None) -> Actor:
    services: Services = request.app.state.services
    hashed = digest(gate.secret, key)

    async def load() -> Known | None:
        async with services.database.read() as session:
            row = await queries.by_key(session, hashed)
        if row is None:
            return None
        _note_use(gate, services.database, _KEY_SEEN, row.key_id, row.last_used_at)
        return queries.actor_of(row), row.expires_at

    found = await services.cache.get_or_load(key_in_cache(hashed), Kind.ACCESS, (ACCESS,), load, _lasts(services))
    if found is None:
        raise Unauthenticated("This API key is unknown, revoked or expired.")
    return _in_workspace(found[0], slug)


def key_in_cache(hashed: bytes) -> str:
    """Where the cache keeps who has the API key of this digest: the Actor and when the key ends, or None."""
    return _KEY_IN_CACHE + hashed.hex()


def _lasts(services: Services) -> Callable[[Known | None], float]:
    """For how many seconds one may rely on who asks: not past the end of key or session, and not for long where
    another host could take access away and nothing would tell (PostgreSQL without Redis)."""
    told = services.cache.far is not None or services.database.dialect == "sqlite"
    most = float(Kind.ACCESS.seconds) if told else Kind.ACCESS.alone

    def lasts(known: Known | None) -> float:
        ends = None if known is None else known[1]
        return most if ends is None else min(most, (ends - clock.now()).total_seconds())

    return lasts


async def _by_session(request: Request, gate: Gate, token: str, slug: str | None) -> Actor:
    services: Services = request.app.state.services
    if request.method not in SAFE and not (request.headers.get("origin") or request.headers.get("sec-fetch-site")):
        # Every browser says where a form was, and the edge has compared that with our address.
        raise Forbidden("A change that is made with a sign-in cookie must say where it comes from (Origin).")
    hashed = digest(gate.secret, token)

    async def find(place: str | None) -> Known | None:
        async def load() -> Known | None:
            async with services.database.read() as session:
                row = await queries.by_session(session, hashed, place)
            if row is None:
                return None
            _note_use(gate, services.database, _SESSION_SEEN, row.session_id, row.seen_at)
            return queries.actor_of(row), row.expires_at

        key = cache_key(ACCESS, hashed.hex(), place)
        return await services.cache.get_or_load(key, Kind.ACCESS, (ACCESS,), load, _lasts(services))

    if (found := await find(slug)) is not None:
        return found[0]
    if slug is not None and await find(None) is not None:
        raise NotFound(f"There is no workspace {slug!r}, or you are not a member of it.")
    raise Unauthenticated("Your sign-in has ended. Sign in again.")


def _note_use(gate: Gate, database: Database, statement: Any, key: UUID, seen: datetime | None) -> None:
    """Writes down when a key or session was last used, once a minute, and beside the request."""
    if seen is not None and clock.now() - seen < _SEEN_EVERY:
        return

    now = clock.now()

    async def write() -> None:
        try:
            async with database.write() as session:
                await session.execute(statement, {"this": key, "now": now})
        except AutoforgeError as error:
            log.warning("the time of a last use could not be written", error=error.detail)

    # A context of its own: what is written beside a request is no part of its transaction or of its budget.
    task = asyncio.create_task(write(), context=Context())
    gate.background.add(task)
    task.add_done_callback(gate.background.discard)


async def _actor(request: Request) -> Actor:
    """Identified, within the limits, and allowed to read or write in the area of the address."""
    actor = await _anyone(request)
    actor.needs(_needed(request))
    return actor


def _needed(request: Request) -> str:
    # Not request.url.path: building a URL costs more than everything else here, and ends a path at a decoded "?".
    return f"{area_of(request.scope['path'])}:{_action(request)}"


def _action(request: Request) -> str:
    return "read" if request.method in SAFE else "write"


async def _anyone(request: Request) -> Actor:
    """Identified and within the limits, with no permission asked: for what everybody may do with their own account."""
    actor = await identify(request)
    gate: Gate = request.app.state.gate
    if gate.budgets.most:
        remaining, reset = await gate.budgets.take(limited_as(_action(request), actor))
        request.scope.setdefault("autoforge.headers", []).extend(limit_fields(gate.budgets.most, remaining, reset))
    return actor


def limited_as(action: str, actor: Actor) -> str:
    """Whose requests are counted: those of one key or session, reading and writing apart."""
    who = actor.key_id or actor.session_id or actor.user_id
    return f"{action}:{who.hex}"


def limit_fields(most: int, remaining: int, reset: int) -> tuple[tuple[bytes, bytes], ...]:
    """The fields of draft-ietf-httpapi-ratelimit-headers; the edge adds them to the response."""
    return (
        (b"ratelimit-policy", b'"default";q=%d;w=60' % most),
        (b"ratelimit", b'"default";r=%d;t=%d' % (remaining, reset)),
    )


async def _myself(actor: Annotated[Actor, Depends(_anyone)]) -> Actor:
    if actor.key_id is not None:
        raise Forbidden("An account is looked after by its person, signed in; a key cannot.")
    return actor


async def still_allowed(request: Request) -> bool:
    """For long answers: whether the one who asked may still ask.

    Check it every second: with the second that access is cached for, one who is shut out is out within two.
    """
    try:
        return (await identify(request)).may(_needed(request))
    except (Unauthenticated, NotFound):
        return False


async def _gate(request: Request) -> Gate:
    gate: Gate = request.app.state.gate
    return gate


Who = Annotated[Actor, Depends(_actor)]
Self = Annotated[Actor, Depends(_anyone)]
Myself = Annotated[Actor, Depends(_myself)]
TheGate = Annotated[Gate, Depends(_gate)]
