"""Sample people, keys and audit entries for the page templates; see samples.py."""

from __future__ import annotations

from typing import Any

from tests.web.sample_prompts import NOW, Context, ago, ident, pager

_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"


def _place(slug: str, name: str, kind: str, role: str) -> dict[str, Any]:
    return {"id": ident(900), "slug": slug, "name": name, "kind": kind, "role": role}


PLACES = [_place("main", "Main", "team", "manager"), _place("ada-3f2a9c", "Personal", "personal", "manager")]
ME = {
    "id": ident(901),
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "role": "admin",
    "created_at": ago(minutes=90_000),
    "last_login_at": ago(minutes=40),
    "has_password": True,
}
ACCOUNT: Context = {
    "person": ME,
    "sessions": [
        {
            "id": ident(902),
            "address": "127.0.0.1",
            "browser": _AGENT,
            "created_at": ago(minutes=3_000),
            "seen_at": ago(minutes=1),
        },
        {
            "id": ident(903),
            "address": "192.168.1.7",
            "browser": "curl/8",
            "created_at": ago(minutes=9),
            "seen_at": ago(minutes=8),
        },
    ],
    "current_session": ident(902),
    "workspaces": PLACES,
    "errors": {},
}


def _key(number: int, name: str, state: str, **more: Any) -> dict[str, Any]:
    return {
        "id": ident(910 + number),
        "name": name,
        "prefix": "afn_Zr3kq81x",
        "scopes": ["prompts:read", "suites:write"],
        "owner": "Ada Lovelace",
        "mine": True,
        "created_at": ago(minutes=9_000),
        "expires_at": None,
        "last_used_at": None,
        "revoked_at": None,
        "replaced_by": None,
        "state": state,
        **more,
    }


KEYS = [
    _key(1, "Nightly evaluation", "active", last_used_at=ago(minutes=3), expires_at=ago(minutes=-90_000)),
    _key(2, "Old laptop", "revoked", revoked_at=ago(minutes=800), mine=False, owner="Grace Hopper"),
    _key(3, "Trial", "expired", expires_at=ago(minutes=50)),
]
AREAS = [("prompts", "Prompts"), ("evaluations", "Evaluations"), ("keys", "API keys")]
_NO_KEY: Context = {"keys": [], "new_key": "", "areas": AREAS, "values": {}, "errors": {}}
_WRONG_KEY = {"scopes": "Choose at least one thing that it may do.", "name": "A key has a name."}


def _entry(seq: int, action: str, kind: str, *facts: tuple[str, str]) -> dict[str, Any]:
    about = {"actor_id": ident(901), "actor_name": "Ada Lovelace", "subject_kind": kind, "subject_id": str(ident(seq))}
    names = {"prompt": {"name": "support/triage", "url": "/w/main/prompts/7", "is_gone": False}}
    names |= {"key": {"name": "", "url": "", "is_gone": False}}
    shown = names.get(kind, {"name": "Grace Hopper", "url": "", "is_gone": True})
    return {"seq": seq, "at": ago(minutes=seq), "action": action, "facts": list(facts), "about": shown, **about}


AUDIT: Context = {
    "entries": [
        _entry(7, "label_moved", "prompt", ("label", "production"), ("to", "4")),
        _entry(6, "key_created", "key", ("name", "Nightly evaluation"), ("scopes", "prompts:read, evaluations:write")),
        _entry(5, "signed_in", "user", ("address", "127.0.0.1")),
    ],
    "everywhere": False,
    "subject": "",
    "by": None,
    "chain": {"seq": 7, "hash": "9f2c" * 16},
    "pager": pager(3),
}
_LINK = {"kind": "invitation", "email": "grace@example.com", "role": "member", "name": "Compilers"}
_WELCOME: Context = {"token": "", "link": None, "name": "", "errors": {}}


def _person(number: int, name: str, role: str, **more: Any) -> dict[str, Any]:
    email = f"{name.split()[0].lower()}@example.com"
    about = {"id": ident(930 + number), "name": name, "email": email, "role": role, "is_active": True}
    return about | {"last_login_at": ago(minutes=50 * number), "created_at": ago(days=number), **more}


EVERYBODY = [
    _person(1, "Grace Hopper", "user"),
    _person(2, "Ada Lovelace", "admin"),
    _person(3, "Alan Turing", "manager", is_active=False, last_login_at=None),
]
FIGURES = {"total": 3, "active": 2, "new_today": 1, "admins": 1}
PERSON: Context = {
    "person": {
        **EVERYBODY[0],
        "profile": {"department": "Compilers"},
        "deleted_at": None,
        "row_version": 3,
        "has_password": True,
    },
    "workspaces": PLACES,
    "link": "",
    "values": {"name": "Grace Hopper", "email": "grace@example.com", "role": "user"},
    "errors": {},
}
MEMBERS: Context = {
    "place": {"name": "Compilers", "slug": "compilers", "kind": "team", "members": 3},
    "members": [
        {**one, "user_id": one["id"], "member_role": "manager" if one["role"] != "user" else "member", "joined_at": NOW}
        for one in EVERYBODY
    ],
    "invitations": [
        {
            "id": ident(940),
            "email": "barbara@example.com",
            "role": "member",
            "created_at": ago(minutes=9),
            "expires_at": ago(days=-6),
            "invited_by": "Ada Lovelace",
        }
    ],
    "manages": True,
    "me": ident(932),
    "link": "",
    "values": {},
    "errors": {},
    "pager": pager(3, None),
}

COLUMNS = {
    "key": "0" * 64,
    "file": "colleagues.csv",
    "rows": 240,
    "table": {
        "columns": ["mail", "first", "last"],
        "delimiter": ";",
        "encoding": "cp1252",
        "notices": ["A BOM was left out."],
    },
    "values": {"email": "mail", "name": "first+last", "role": "", "is_active": ""},
    "on_existing": "skip",
    "keep": ["last"],
    "preview": [
        {
            "line": 2,
            "draft": {
                "email": "ada@example.org",
                "name": "Ada L.",
                "role": "user",
                "is_active": True,
                "profile": {"last": "L."},
            },
            "faults": [],
            "cells": ["ada@example.org", "Ada", "L."],
        },
        {
            "line": 3,
            "draft": None,
            "faults": [{"column": "mail", "message": "'<b>' is no e-mail address."}],
            "cells": ["<b>", "", ""],
        },
    ],
    "faulty": 1,
    "problem": "",
    "errors": {},
    "used": ["mail", "first"],
    "samples": {"mail": ["ada@example.org", "<b>"], "first": ["Ada"], "last": ["L."]},
}
PROGRESS = {
    "job": {
        "id": ident(77),
        "file": "colleagues.csv",
        "mapping": ["email=mail", "name=first+last"],
        "on_existing": "skip",
        "dry_run": False,
        "status": "completed",
        "total": 240,
        "rows": 240,
        "inserted": 200,
        "updated": 0,
        "skipped": 38,
        "failed": 2,
        "error": None,
    },
    "faults": [{"line": 3, "column": "mail", "message": "'<b>' is no e-mail address."}],
    "more": True,
    "ended": True,
    "columns_url": "/w/main/people/import/0",
    "may_invite": True,
}


def _cleanup(number: int, status: str, removed: int, undo: dict[str, Any] | None = None) -> dict[str, Any]:
    about = {"id": ident(960 + number), "status": status, "removed": removed, "inactive_since": ago(days=365)}
    ended = None if status == "running" else ago(minutes=number)
    return {**about, "created_at": ago(minutes=number), "ended_at": ended, "undo": undo, "live": ended is None}


_UNDO = {"status": "completed", "live": False, "restored": 11, "left_out": 1}
CLEANUP: Context = {
    "days": 365,
    "nightly": 365,
    "people": EVERYBODY,
    "since": ago(days=365),
    "count": 3,
    "told": "3",
    "pager": pager(3),
    "runs": [
        _cleanup(1, "completed", 4),
        _cleanup(2, "completed", 12, _UNDO),
        _cleanup(3, "completed", 2, {**_UNDO, "status": "running", "live": True, "restored": 0, "left_out": 0}),
        _cleanup(4, "dead", 0),
    ],
    "live": False,
    "errors": {},
}

PEOPLE: dict[str, list[Context]] = {
    "people/cleanup.html": [
        CLEANUP,
        {**CLEANUP, "runs": [_cleanup(1, "running", 3)], "live": True},
        {**CLEANUP, "people": [], "count": 0, "told": "0", "runs": [], "nightly": 0},
        {**CLEANUP, "people": [], "count": 0, "since": None, "pager": None, "days": "x", "errors": {"days": "No."}},
    ],
    "access/sign_in.html": [
        {"next": "/", "email": "", "errors": {}},
        {
            "next": "/w/main",
            "email": "ada@example.com",
            "errors": {"password": "The address or the password is wrong."},
        },
        {"next": "/", "email": "", "errors": {"token": "This link has expired.", "": "Too many tries."}},
    ],
    "access/welcome.html": [
        _WELCOME,
        {**_WELCOME, "errors": {"token": "This link has expired or was used before."}},
        {
            **_WELCOME,
            "token": "t",
            "link": _LINK,
            "errors": {"password": "A password has 10 characters.", "name": "No."},
        },
        {**_WELCOME, "token": "t", "link": {**_LINK, "kind": "password_reset", "name": None}},
        {**_WELCOME, "token": "t", "link": {**_LINK, "kind": "password_reset"}},
    ],
    "access/account.html": [
        ACCOUNT,
        {
            **ACCOUNT,
            "sessions": [],
            "person": {**ME, "has_password": False, "last_login_at": None},
            "errors": {"name": "No."},
        },
        {**ACCOUNT, "errors": {"current": "That is not your current password.", "password": "Too short."}},
    ],
    "access/keys.html": [
        {**_NO_KEY, "keys": KEYS},
        {**_NO_KEY, "keys": KEYS[:1], "new_key": "afn_Zr3kq81xEXAMPLE"},
        {**_NO_KEY, "values": {"name": "x", "scope-prompts": "read"}, "errors": _WRONG_KEY},
    ],
    "access/audit.html": [
        AUDIT,
        {**AUDIT, "everywhere": True, "subject": str(ident(5))},
        {**AUDIT, "entries": [], "pager": pager(0, None)},
    ],
    "people/list.html": [
        {"people": EVERYBODY, "figures": FIGURES, "filtered": False, "pager": pager(3)},
        {"people": [], "figures": FIGURES, "filtered": True, "pager": pager(0, None)},
        {"people": [], "figures": FIGURES, "filtered": False, "pager": pager(0, None)},
    ],
    "people/new.html": [
        {"values": {"role": "user"}, "errors": {}},
        {"values": {"name": "x", "email": "y", "role": "admin"}, "errors": {"email": "'y' is no e-mail address."}},
    ],
    "people/new_workspace.html": [
        {"values": {}, "errors": {}},
        {"values": {"name": "x"}, "errors": {"slug": "There is already a workspace at 'x'."}},
    ],
    "people/show.html": [
        PERSON,
        {**PERSON, "link": "http://127.0.0.1:8000/welcome#token=EXAMPLE"},
        {**PERSON, "errors": {"to": "Nobody has this address.", "": "Somebody changed it."}, "workspaces": []},
        {**PERSON, "person": {**PERSON["person"], "is_active": False, "last_login_at": None, "profile": {}}},
        {**PERSON, "person": {**PERSON["person"], "deleted_at": ago(minutes=5), "has_password": False}},
    ],
    "people/members.html": [
        MEMBERS,
        {**MEMBERS, "manages": False, "invitations": [], "me": ident(931)},
        {**MEMBERS, "members": [], "link": "http://127.0.0.1:8000/welcome#token=EXAMPLE", "pager": pager(0, None)},
        {**MEMBERS, "values": {"email": "x"}, "errors": {"email": "'x' is no e-mail address."}},
        {**MEMBERS, "place": {**MEMBERS["place"], "kind": "personal"}},
    ],
    "people/import.html": [{"errors": {}}, {"errors": {"file": "Choose a CSV file."}}],
    "people/import_columns.html": [
        COLUMNS,
        {**COLUMNS, "rows": None, "problem": "No column gives an e-mail address.", "errors": {"email": "It is empty."}},
        {**COLUMNS, "preview": [], "faulty": 0, "keep": []},
    ],
    "people/import_progress.html": [
        PROGRESS,
        {
            **PROGRESS,
            "job": {**PROGRESS["job"], "status": "running", "rows": 120},
            "faults": [],
            "more": False,
            "ended": False,
            "may_invite": False,
        },
        {**PROGRESS, "job": {**PROGRESS["job"], "status": "dead", "error": "The file is gone.", "dry_run": True}},
    ],
}
