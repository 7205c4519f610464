"""Signing in and out, accepting an invitation, and setting a password by link."""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from pydantic import AfterValidator
from starlette.responses import RedirectResponse, Response

from autoforge.access import audit, members, passwords, queries, sessions
from autoforge.access.deps import COOKIE, Gate, Myself, TheGate
from autoforge.access.limits import exactly
from autoforge.access.tokens import digest
from autoforge.db import Database
from autoforge.errors import AutoforgeError, TooManyRequests, Unauthenticated
from autoforge.web.deps import Db
from autoforge.web.html import page, seen
from autoforge.web.responses import budget
from autoforge.web.text import storable

router = APIRouter()

PER_MINUTE = 5
_WRONG = "The address or the password is wrong."
_SPENT = "This link has expired or was used before. Ask for a new one."
Text = Annotated[str, Form(max_length=2_000), AfterValidator(storable)]


def address_of(request: Request) -> str:
    """The client's address; behind a proxy that the settings trust, the one that the proxy saw."""
    return request.client.host if request.client else "unknown"


def counted_as(address: str) -> str:
    """What stands for the one behind an address: of IPv6 the network of 64 bits, in which anybody has addresses to
    waste."""
    try:
        known = ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(known, IPv4Address):
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(IPv6Network((int(known) >> 64 << 64, 64)))


def local_path(text: str) -> str:
    """``text`` when it is a path on this server, else the start page: a sign-in must not send people elsewhere."""
    plain = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() and "\\" not in text
    return text if plain else "/"


def token_of(text: str) -> str:
    """The token, of the token itself or of the whole link that somebody pasted."""
    return text.strip().rpartition("token=")[2]


def is_secure(request: Request, gate: Gate) -> bool:
    """Whether the cookie is for encrypted connections alone: everywhere but on this machine's own address."""
    return gate.secure_cookie or request.url.scheme == "https"


@router.get("/sign-in", openapi_extra=budget(0))
async def sign_in_page(request: Request, next: Annotated[str, Query(max_length=2_000)] = "/") -> Response:
    return _form(request, 200, next=local_path(next))


def _form(request: Request, status: int, **more: Any) -> Response:
    return page(request, "access/sign_in.html", {"next": "/", "email": "", "errors": {}, **more}, status=status)


@router.post("/sign-in")
async def sign_in(
    request: Request, database: Db, gate: TheGate, email: Text, password: Text, next: Text = "/"
) -> Response:
    """Five tries a minute per address and per account; then 429, whatever is sent."""
    email, back = email.strip().lower(), local_path(next)
    try:
        await _count_try(request, database, gate, email)
    except TooManyRequests as error:
        return _limited(_form(request, 429, next=back, email=email, errors={"": _wait(error)}), error)
    async with database.read() as session:
        person = await queries.for_sign_in(session, email)
    if not await passwords.matches(person.password_hash if person else None, password) or not person.is_active:
        await _note_failure(database, request, person)
        return _form(request, 401, next=back, email=email, errors={"password": _WRONG})
    return await _begin(request, database, gate, person.id, back)


def _wait(error: TooManyRequests) -> str:
    return f"Too many tries. Try again in {error.retry_after} seconds."


def _limited(response: Response, error: TooManyRequests) -> Response:
    response.headers["Retry-After"] = str(error.retry_after)
    return response


async def _count_try(request: Request, database: Database, gate: Gate, email: str = "") -> None:
    """In a transaction of its own: a wrong password must count as well.

    What was typed as an address is kept as a hash alone: people type passwords into the wrong field.
    """
    account = hashlib.blake2b(email.encode(), key=gate.secret, digest_size=16).hexdigest()
    async with database.write() as session:
        await exactly(session, f"sign-in:address:{counted_as(address_of(request))}", PER_MINUTE, 60)
        if email:
            await exactly(session, f"sign-in:account:{account}", PER_MINUTE, 60)


async def _note_failure(database: Database, request: Request, person: Any) -> None:
    if person is None:
        return
    async with database.write() as session:
        audit.record(session, None, "sign_in_failed", "user", person.id, {"address": address_of(request)})


async def _begin(request: Request, database: Database, gate: Gate, user_id: UUID, back: str) -> Response:
    browser = request.headers.get("user-agent", "")
    async with database.write() as session:
        token = await sessions.begin(session, gate.secret, user_id, address_of(request), browser)
        await members.ensure_place(session, user_id)
    response = RedirectResponse(back, status_code=303)
    life = int(sessions.SESSION_LIFE.total_seconds())
    secure = is_secure(request, gate)
    response.set_cookie(COOKIE, token, max_age=life, httponly=True, samesite="lax", secure=secure)
    return response


@router.post("/sign-in/link")
async def sign_in_by_link(request: Request, database: Db, gate: TheGate, token: Text) -> Response:
    """The token comes in the body: it was in the link's fragment, which no server and no log ever sees."""
    try:
        await _count_try(request, database, gate)
        async with database.write() as session:
            link = await sessions.use_link(session, gate.secret, token_of(token), ("sign_in",))
        return await _begin(request, database, gate, link.user_id, "/")
    except TooManyRequests as error:
        return _limited(_form(request, 429, errors={"token": _wait(error)}), error)
    except Unauthenticated as error:
        return _form(request, 401, errors={"token": error.detail})


@router.get("/welcome", openapi_extra=budget(0))
async def welcome_page(request: Request) -> Response:
    """Where invitations and password resets lead; the token is in the fragment, and the page posts it."""
    return _welcome(request, 200)


def _welcome(request: Request, status: int, **more: Any) -> Response:
    context = {"token": "", "link": None, "name": "", "errors": {}, **more}
    return page(request, "access/welcome.html", context, status=status)


@router.post("/welcome/open")
async def open_welcome(request: Request, database: Db, gate: TheGate, token: Text) -> Response:
    """What the link is for, without spending it yet."""
    link = await _open_link(database, gate, token_of(token))
    if link is None:
        return _welcome(request, 401, errors={"token": _SPENT})
    return _welcome(request, 200, token=token_of(token), link=link)


async def _open_link(database: Database, gate: Gate, token: str) -> Any:
    async with database.read() as session:
        link = await queries.open_link(session, digest(gate.secret, token))
    return link if link is not None and link.kind in members.WELCOMING else None


@router.post("/welcome")
async def welcome(
    request: Request, database: Db, gate: TheGate, token: Text, password: Text, name: Text = ""
) -> Response:
    """Spends the link: joins the workspace that it invites to, or sets the new password; and signs in."""
    link = await _open_link(database, gate, token)
    if link is None:
        return _welcome(request, 401, errors={"token": _SPENT})
    try:
        hashed = await passwords.hashed(password)
        async with database.write() as session:
            user_id = await members.accept(session, gate.secret, token, hashed, name.strip())
    except AutoforgeError as error:
        errors = {one.pointer.strip("/"): one.message for one in error.errors} or {"": error.detail}
        return _welcome(request, error.status, token=token, link=link, name=name, errors=errors)
    return await _begin(request, database, gate, user_id, "/")


@router.post("/sign-out")
async def sign_out(database: Db, actor: Myself, everywhere: Annotated[bool, Form()] = False) -> Response:
    async with database.write() as session:
        await sessions.end(session, actor, everywhere=everywhere)
    response = seen("/sign-in", "You are signed out everywhere." if everywhere else "You are signed out.")
    response.delete_cookie(COOKIE)
    return response
