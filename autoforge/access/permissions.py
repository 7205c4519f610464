"""Roles and scopes: which of them allow what.

A permission is ``area:action``; the actions are read, write and admin, and each includes those before it. A role says
what a person may do; the scopes of an API key say which part of that the key may. Both must allow.

* ``admin``: everything, in every workspace.
* ``manager``: everything in the workspaces that they manage, members included.
* ``user``: read and write the content of the workspaces that they are members of, and their own keys.
"""

from __future__ import annotations

from collections.abc import Iterable

ROLES = ("admin", "manager", "user")
ACTIONS = ("read", "write", "admin")
CONTENT = ("prompts", "templates", "suites", "evaluations", "analysis", "jobs")
PEOPLE = ("users", "keys", "audit")
SERVER = ("server",)
"""What concerns the whole installation: metrics, people beyond a workspace. Admins only."""
AREAS = (*CONTENT, *PEOPLE, *SERVER)
EVERYTHING = ("*:admin",)


def allows(role: str, manages: bool, scopes: Iterable[str], permission: str) -> bool:
    """Whether a person of this role, with these scopes, may do ``permission`` in the workspace at hand."""
    return _role_allows(role, manages, permission) and any(_covers(scope, permission) for scope in scopes)


def valid_scope(scope: str) -> bool:
    """``prompts:read``, ``*:write`` and so on."""
    area, _, action = scope.partition(":")
    return (area == "*" or area in AREAS) and action in ACTIONS


def covers(scopes: Iterable[str], wanted: str) -> bool:
    """Whether ``scopes`` hold all that the scope ``wanted`` does; only a scope of all areas covers one of all areas."""
    return any(_covers(scope, wanted) for scope in scopes)


def _role_allows(role: str, manages: bool, permission: str) -> bool:
    area, _, action = permission.partition(":")
    if role == "admin" or manages:
        return role == "admin" or area != "server"
    if area == "keys":
        return action != "admin"
    if area == "users":
        return action == "read"
    return area in CONTENT and action != "admin"


def _covers(scope: str, permission: str) -> bool:
    area, _, action = permission.partition(":")
    granted, _, upto = scope.partition(":")
    return granted in ("*", area) and ACTIONS.index(upto) >= ACTIONS.index(action)
