"""Changes to what people and programs sign in with: sessions, one-time links, passwords, API keys.

The caller owns the transaction. Whatever takes access away touches the tag ``access``: all processes of the data
directory then ask the database again, at once; those of other hosts do within two seconds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, bindparam, insert, or_, select, update

from autoforge.access import Actor, audit
from autoforge.access.permissions import covers, valid_scope
from autoforge.access.tokens import digest, new_api_key, new_token, shown_prefix
from autoforge.db import WriteSession, clock, named
from autoforge.db import models as m
from autoforge.db.ids import new_id
from autoforge.errors import BadInput, Conflict, Forbidden, NotFound, Unauthenticated
from autoforge.web.text import check_storable

SESSION_LIFE = timedelta(days=30)
LINK_LIFE = {"sign_in": timedelta(minutes=15), "invitation": timedelta(days=7), "password_reset": timedelta(hours=24)}
ROTATION_OVERLAP = timedelta(hours=24)
MOST_DAYS = 3_650
ACCESS = "access"
SIGNED_IN = "signed in"
"""The cache tag of lists that show when somebody was here last."""

_USE_LINK = named(
    "access.use_link",
    update(m.OneTimeLink)
    .where(m.OneTimeLink.token_hash == bindparam("hash"), m.OneTimeLink.used_at.is_(None))
    .where(m.OneTimeLink.expires_at > bindparam("now", type_=m.OneTimeLink.expires_at.type))
    .values(used_at=bindparam("now", type_=m.OneTimeLink.expires_at.type))
    .returning(
        m.OneTimeLink.kind,
        m.OneTimeLink.user_id,
        m.OneTimeLink.workspace_id,
        m.OneTimeLink.email,
        m.OneTimeLink.role,
        m.OneTimeLink.created_by,
    ),
)
_MAKER = named(
    "access.link_maker",
    select(m.User.role, m.Membership.role.label("member_role"))
    .outerjoin(
        m.Membership, (m.Membership.user_id == m.User.id) & (m.Membership.workspace_id == bindparam("workspace_id"))
    )
    .where(m.User.id == bindparam("user_id"), m.User.is_active, m.User.deleted_at.is_(None)),
    bounded=True,
)

_END_LINKS = named(
    "access.end_links",
    update(m.OneTimeLink)
    .where(m.OneTimeLink.user_id.in_(bindparam("users", expanding=True)), m.OneTimeLink.used_at.is_(None))
    .values(used_at=bindparam("now", type_=m.OneTimeLink.expires_at.type)),
)
_SIGNING_IN = named(
    "access.signing_in",
    update(m.User)
    .where(m.User.id == bindparam("user"), m.User.is_active, m.User.deleted_at.is_(None))
    .values(last_login_at=bindparam("now", type_=m.User.created_at.type))
    .returning(m.User.name),
)


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new API key; ``text`` is shown once and is stored nowhere."""

    key_id: UUID
    text: str


async def begin(session: WriteSession, secret: bytes, user_id: UUID, address: str, browser: str) -> str:
    """Signs a person in; returns what the cookie has to hold. Unauthenticated for who is deactivated or deleted."""
    name = (await session.execute(_SIGNING_IN, {"user": user_id, "now": clock.now()})).scalar()
    if name is None:
        raise Unauthenticated("This account is not active. Ask an admin.")
    session.touch(SIGNED_IN)
    now, token = clock.now(), new_token()
    row = {"id": new_id(), "user_id": user_id, "token_hash": digest(secret, token), "address": address[:100]}
    row |= {"browser": storable_text(browser), "created_at": now, "seen_at": now, "expires_at": now + SESSION_LIFE}
    await session.execute(insert(m.SignInSession), row)
    audit.record(session, audit.Person(user_id, name), "signed_in", "user", user_id, {"address": address[:100]})
    return token


def storable_text(browser: str) -> str:
    """What a browser says that it is: printable, and not long."""
    return "".join(letter for letter in browser if letter.isprintable())[:200]


async def end(session: WriteSession, actor: Actor, *, everywhere: bool = False) -> None:
    """Signs out: this session, or all of the person's."""
    mine = m.SignInSession.user_id == actor.user_id
    which = mine if everywhere else mine & (m.SignInSession.id == actor.session_id)
    await end_where(session, which)
    audit.record(session, actor, "signed_out_everywhere" if everywhere else "signed_out", "user", actor.user_id)


async def end_one(session: WriteSession, actor: Actor, session_id: UUID) -> None:
    """Signs out one browser of the actor; NotFound for one that is not theirs or has ended."""
    which = (m.SignInSession.user_id == actor.user_id) & (m.SignInSession.id == session_id)
    if not await end_where(session, which):
        raise NotFound("There is no such sign-in of yours.")
    audit.record(session, actor, "signed_out", "user", actor.user_id)


async def end_others(session: WriteSession, actor: Actor) -> None:
    """Signs out every browser of the actor but this one."""
    await end_where(session, (m.SignInSession.user_id == actor.user_id) & (m.SignInSession.id != actor.session_id))
    audit.record(session, actor, "signed_out_elsewhere", "user", actor.user_id)


async def end_all_of(session: WriteSession, user_id: UUID) -> None:
    """Every browser of a person is out, at once on this host and within two seconds on others."""
    await end_where(session, m.SignInSession.user_id == user_id)


async def end_where(session: WriteSession, which: Any) -> int:
    """Ends the open sessions that ``which`` chooses; how many there were."""
    ended = update(m.SignInSession).where(which, m.SignInSession.ended_at.is_(None)).values(ended_at=clock.now())
    session.touch(ACCESS)
    return (await session.execute(named("access.end_sessions", ended))).rowcount


async def make_link(
    session: WriteSession,
    secret: bytes,
    kind: str,
    *,
    user_id: UUID | None = None,
    workspace_id: UUID | None = None,
    email: str = "",
    role: str = "member",
    created_by: UUID | None = None,
) -> str:
    """A link of ``kind`` sign_in, invitation or password_reset that works once; returns its token."""
    now, token = clock.now(), new_token()
    row = {"id": new_id(), "kind": kind, "token_hash": digest(secret, token), "user_id": user_id, "email": email}
    row |= {"workspace_id": workspace_id, "role": role, "created_by": created_by}
    await session.execute(insert(m.OneTimeLink), row | {"created_at": now, "expires_at": now + LINK_LIFE[kind]})
    return token


async def make_welcomes(session: WriteSession, secret: bytes, actor: Actor, people: Sequence[Any]) -> list[str]:
    """Tokens of links by which people (rows with id and email) choose their first password, for as long as an
    invitation works; unused links that they had before work no more."""
    if not people:
        return []
    now, tokens = clock.now(), [new_token() for _ in people]
    fixed = {"kind": "password_reset", "workspace_id": actor.workspace_id, "created_by": actor.user_id}
    fixed |= {"created_at": now, "expires_at": now + LINK_LIFE["invitation"]}
    await session.execute(_END_LINKS, {"users": [person.id for person in people], "now": now})
    rows = [
        {"id": new_id(), "token_hash": digest(secret, token), "user_id": person.id, "email": person.email, **fixed}
        for person, token in zip(people, tokens, strict=True)
    ]
    await session.execute(insert(m.OneTimeLink), rows)
    return tokens


async def use_link(session: WriteSession, secret: bytes, token: str, kinds: Sequence[str]) -> Any:
    """Spends a link; Unauthenticated when it is unknown, spent, expired, or of another kind, or when who made it could
    not make it any more."""
    row = (await session.execute(_USE_LINK, {"hash": digest(secret, token), "now": clock.now()})).first()
    if row is None or row.kind not in kinds or not await _may_still_be_made(session, row):
        raise Unauthenticated("This link has expired or was used before. Ask for a new one.")
    return row


async def _may_still_be_made(session: WriteSession, link: Any) -> bool:
    """Links end with the right to make them (:func:`end_links_by`); this is for one made at that very moment."""
    if link.created_by is None:
        return True
    maker = await session.first(_MAKER, {"user_id": link.created_by, "workspace_id": link.workspace_id})
    if maker is None or maker.role == "admin":
        return maker is not None
    manages = maker.role == "manager" and maker.member_role == "manager"
    return bool(manages and link.kind == "invitation" and link.role != "manager")


async def set_password(
    session: WriteSession, by: Actor | audit.Person | None, user_id: UUID, hashed: str, *, keep: UUID | None = None
) -> None:
    """A new password ends all other sessions of the person, and their unused links; ``keep`` is the one that stays."""
    values = {"password_hash": hashed, "updated_at": clock.now(), "row_version": m.User.row_version + 1}
    await session.execute(update(m.User).where(m.User.id == user_id).values(values))
    await end_links(session, [user_id])
    others = m.SignInSession.user_id == user_id
    await end_where(session, others if keep is None else others & (m.SignInSession.id != keep))
    audit.record(session, by, "password_changed", "user", user_id)


async def end_links(session: WriteSession, user_ids: Sequence[UUID]) -> None:
    """Unused links that would let somebody in as one of these people work no more."""
    links = update(m.OneTimeLink).where(m.OneTimeLink.user_id.in_(user_ids), m.OneTimeLink.used_at.is_(None))
    await session.execute(named("access.end_links", links).values(used_at=clock.now()))


async def end_links_by(session: WriteSession, user_ids: Sequence[UUID], workspace_id: UUID | None = None) -> None:
    """Unused links that these people made for others work no more: one who is put out could come back by them.

    With ``workspace_id`` only the invitations to it.
    """
    # No index leads from people to what they made; the one by expiry leaves the links of the last days to look at.
    now = clock.now()
    links = update(m.OneTimeLink).where(m.OneTimeLink.expires_at > now, m.OneTimeLink.created_by.in_(user_ids))
    if workspace_id is not None:
        links = links.where(m.OneTimeLink.workspace_id == workspace_id, m.OneTimeLink.kind == "invitation")
    ended = named("access.end_links_by", links.where(m.OneTimeLink.used_at.is_(None)))
    await session.execute(ended.values(used_at=now))


async def shut_out(session: WriteSession, user_ids: Sequence[UUID]) -> None:
    """Ends the sessions of these people, the links that would let them in, and those that they made for others."""
    await end_where(session, m.SignInSession.user_id.in_(user_ids))
    await end_links(session, user_ids)
    await end_links_by(session, user_ids)


async def make_key(
    session: WriteSession, secret: bytes, actor: Actor, name: str, scopes: Sequence[str], days: int | None = None
) -> MadeKey:
    """A key for the actor's workspace that can do at most what the actor may. BadInput for unknown scopes."""
    actor.needs("keys:write")
    name = check_storable(name.strip(), "/name")
    if not 1 <= len(name) <= 200:
        raise BadInput.at("/name", "A key's name has 1 to 200 characters.")
    for index, scope in enumerate(scopes):
        if not valid_scope(scope):
            raise BadInput.at(f"/scopes/{index}", f"{scope!r} is no scope; write AREA:read, AREA:write or AREA:admin.")
        if not covers(actor.scopes, scope):
            raise BadInput.at(f"/scopes/{index}", f"A key cannot make a key with more than its own scopes ({scope}).")
    if not scopes:
        raise BadInput.at("/scopes", "A key needs at least one scope, such as prompts:read.")
    key_id, text = new_id(), new_api_key()
    row = {"id": key_id, "workspace_id": actor.workspace_id, "user_id": actor.user_id, "name": name}
    row |= {"prefix": shown_prefix(text), "key_hash": digest(secret, text), "scopes": json.dumps(list(scopes))}
    expires = None if days is None else clock.now() + timedelta(days=days)
    await session.execute(insert(m.ApiKey), row | {"created_at": clock.now(), "expires_at": expires})
    audit.record(session, actor, "key_created", "key", key_id, {"name": name, "scopes": list(scopes)})
    return MadeKey(key_id, text)


async def rotate_key(session: WriteSession, secret: bytes, actor: Actor, key_id: UUID) -> MadeKey:
    """A new key in place of one's own old one, valid for as long as that was; the old one works for another 24 hours.

    Forbidden for the key of somebody else: the new one would act as the wrong person. Conflict for one that was rotated
    already: how long it was to be valid is known of its successor alone, and of two successors nobody would tell.
    """
    row = await _key(session, actor, key_id)
    if row.user_id != actor.user_id:
        raise Forbidden("A key is rotated by the person that it belongs to; you may revoke it.")
    if row.replaced_by is not None:
        raise Conflict("This key was rotated already and ends by itself. Rotate the key that replaced it.")
    days = None if row.expires_at is None else max(1, -((row.created_at - row.expires_at) // timedelta(days=1)))
    made = await make_key(session, secret, actor, row.name, json.loads(row.scopes), days)
    until = clock.now() + ROTATION_OVERLAP
    if row.expires_at is not None:
        until = min(until, row.expires_at)
    values = {"replaced_by": made.key_id, "expires_at": until}
    await session.execute(update(m.ApiKey).where(m.ApiKey.id == key_id).values(values))
    session.touch(ACCESS)
    audit.record(session, actor, "key_rotated", "key", key_id, {"replaced_by": str(made.key_id)})
    return made


async def revoke_key(session: WriteSession, actor: Actor, key_id: UUID) -> None:
    """Out of use at once on this host, within two seconds on others."""
    await _key(session, actor, key_id)
    await session.execute(update(m.ApiKey).where(m.ApiKey.id == key_id).values(revoked_at=clock.now()))
    session.touch(ACCESS)
    audit.record(session, actor, "key_revoked", "key", key_id)


async def _key(session: WriteSession, actor: Actor, key_id: UUID) -> Any:
    """One's own key, or for managers any of the workspace; NotFound otherwise, or when it is revoked already."""
    actor.needs("keys:write")
    row = await session.first(
        select(
            m.ApiKey.name,
            m.ApiKey.scopes,
            m.ApiKey.user_id,
            m.ApiKey.created_at,
            m.ApiKey.expires_at,
            m.ApiKey.replaced_by,
        )
        .where(
            m.ApiKey.id == key_id,
            m.ApiKey.workspace_id == actor.workspace_id,
            m.ApiKey.revoked_at.is_(None),
            or_(m.ApiKey.user_id == actor.user_id, bindparam("manages", actor.may("keys:admin"), Boolean)),
        )
        .with_for_update()
    )
    if row is None:
        raise NotFound(f"There is no key with the id {key_id} that you may change.")
    return row
