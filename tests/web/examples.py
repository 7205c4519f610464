"""Every request that the product answers, filled in: from the OpenAPI document and the routers of the pages.

A route that is new is asked too, as soon as it is there: its body is made from its schema, its path from the values
below. A path parameter that has no value here fails the tests that walk all routes, so that nobody forgets one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from sqlalchemy import Select, select

from autoforge.db import ReadSession
from autoforge.db import models as m
from autoforge.telemetry.slow import SLOW
from autoforge.web.openapi import OPEN, operations
from tests.web.site import Site

API_TABLE: dict[str, tuple[Any, Any]] = {
    "prompt_id": (m.Prompt.id, m.Prompt.workspace_id),
    "template_id": (m.Template.id, m.Template.workspace_id),
    "suite_id": (m.Suite.id, m.Suite.workspace_id),
    "evaluation_id": (m.Evaluation.id, m.Evaluation.workspace_id),
    "key_id": (m.ApiKey.id, m.ApiKey.workspace_id),
    "job_id": (m.Job.id, m.Job.workspace_id),
    "link_id": (m.OneTimeLink.id, m.OneTimeLink.workspace_id),
    "session_id": (m.SignInSession.id, m.SignInSession.user_id),
}
"""Path parameters that are ids, and where an example of a workspace is found."""

FIXED = {
    "workspace": "main",
    "number": "1",
    "position": "1",
    "kind": "label",
    "name": "production",
    "profile": "0000000000001",
    "reference": "support/triage@production",
}
CONTENT = {"messages": [{"role": "user", "content": "Hello {{name}}"}]}
BODIES: dict[str, Any] = {
    "Content": CONTENT,
    "content": CONTENT,
    "scopes": ["prompts:read"],
    "tests": [{"vars": {"question": "1"}, "assert": [{"type": "equals", "value": "1"}]}],
}
"""Values of properties by name that their schema does not tell well enough."""
LAST = ("DELETE /api/v1/users/{user_id}", "DELETE /api/v1/me", "POST /api/v1/workspaces/{workspace_id}/leave")
"""Places after which whoever asked is gone."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. ``place`` is its method and the template of its path; ``open`` says that anybody may ask."""

    method: str
    template: str
    path: str
    body: Any = None
    page: bool = False
    budget: int | None = None
    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def open(self) -> bool:
        return self.template in OPEN

    @property
    def names_something(self) -> bool:
        """Whether the path names something of a workspace, which nobody else may see."""
        return "{" in self.template

    def sent(self) -> dict[str, Any]:
        """Keyword arguments for the client; a query that the route needs is in the path."""
        if self.page:
            return {"data": {"name": "x"}} if self.method == "POST" else {}
        return {} if self.body is None else {"json": self.body}


async def values(site: Site, workspace_id: UUID | None = None) -> dict[str, str]:
    """An example for each path parameter, of the workspace (by default that of the owner, with the samples)."""
    place = workspace_id or site.owner.workspace_id
    found = dict(FIXED)
    async with site.database.read() as session:
        for name, (column, of) in API_TABLE.items():
            found[name] = str(await session.scalar(select(column).where(of == place).order_by(column).limit(1)))
        private = select(m.Template.id).where(m.Template.workspace_id == place, m.Template.visibility == "private")
        found["template_id"] = str(await session.scalar(private.limit(1)))
        found["prompt_id"] = str(await session.scalar(_triage(place)))
        case = select(m.TestCase.suite_id, m.TestCase.id).join(m.Suite, m.Suite.id == m.TestCase.suite_id)
        row = await session.first(case.where(m.Suite.workspace_id == place).order_by(m.TestCase.id).limit(1))
        if row is not None:
            found["suite_id"], found["case_id"] = str(row[0]), str(row[1])
        found |= await _more(session, site)
    return found


def _triage(place: UUID) -> Select[Any]:
    return select(m.Prompt.id).where(m.Prompt.workspace_id == place, m.Prompt.name == "support/triage")


async def _more(session: ReadSession, site: Site) -> dict[str, str]:
    """Examples that are no ids of a table with a workspace."""
    payload = await session.scalar(select(m.Job.payload).where(m.Job.task == "users.import"))
    found = {"key": json.loads(payload)["file"]} if payload else {}
    found["shape"] = max(SLOW.shapes.values(), key=lambda shape: shape.seconds).key
    return found | {"user_id": str(site.owner.user_id), "workspace_id": str(site.owner.workspace_id), "slug": "main"}


class _Known(dict[str, str]):
    def __missing__(self, name: str) -> str:
        raise LookupError(f"tests/web/examples.py has no example for the path parameter {name!r}")


async def everything(site: Site) -> list[Asked]:
    known = _Known(await values(site))
    return [*_of_document(site.app.openapi(), known), *_of_pages(site.app, known)]


def filled(template: str, known: Mapping[str, str]) -> str:
    return template.replace(":path}", "}").format_map(known)


def _of_document(document: dict[str, Any], known: Mapping[str, str]) -> Iterator[Asked]:
    for template, method, operation in operations(document):
        needed = [
            f"{one['name']}={_parameter(one, known)}"
            for one in operation.get("parameters", ())
            if one["in"] == "query" and one.get("required")
        ]
        path = filled(template, known) + ("?" + "&".join(needed) if needed else "")
        headers, query = (
            tuple(one["name"] for one in operation.get("parameters", ()) if one["in"] == place)
            for place in ("header", "query")
        )
        body = _body(operation, document, known)
        yield Asked(
            method.upper(),
            template,
            path,
            body,
            budget=operation.get("x-query-budget"),
            headers=headers,
            query=query,
            properties=_properties(operation, document) if isinstance(body, dict) else (),
        )


def _properties(operation: Mapping[str, Any], document: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of what a body may hold, what is optional included."""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return tuple(schema.get("properties", ()))


def _parameter(one: Mapping[str, Any], known: Mapping[str, str]) -> str:
    if one["schema"].get("format") == "uuid":
        return known["evaluation_id"]
    return "1"


def _body(operation: Mapping[str, Any], document: Mapping[str, Any], known: Mapping[str, str]) -> Any:
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" not in content or "multipart/form-data" in content:
        return None
    return instance(content["application/json"]["schema"], document, known)


def instance(schema: Mapping[str, Any], document: Mapping[str, Any], known: Mapping[str, str], name: str = "") -> Any:
    """The smallest value that a schema allows, with the examples above where names tell more than types."""
    if name in BODIES:
        return BODIES[name]
    if f"{name}" in known and schema.get("format") == "uuid":
        return known[name]
    if "$ref" in schema:
        target = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return instance(target, document, known, name)
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return instance(schema[choice][0], document, known, name)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    return _plain(schema, document, known)


def _plain(schema: Mapping[str, Any], document: Mapping[str, Any], known: Mapping[str, str]) -> Any:
    match schema.get("type"):
        case "object":
            inner = schema.get("properties", {})
            return {key: instance(inner[key], document, known, key) for key in schema.get("required", ())}
        case "array":
            return [instance(schema["items"], document, known)] * schema.get("minItems", 0)
        case "integer":
            return int(schema.get("minimum", 1))  # the framework's document writes 1.0, which a strict integer is not
        case "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
        case "null":
            return None
    return known["evaluation_id"] if schema.get("format") == "uuid" else "x" * max(1, schema.get("minLength", 1))


def _of_pages(app: FastAPI, known: Mapping[str, str]) -> Iterator[Asked]:
    for route in app.routes:
        for one in getattr(route, "effective_route_contexts", list)():
            if not one.include_in_schema:
                for method in one.methods:
                    needed = "?a=1&b=2" if one.path_format.endswith("/diff") else ""
                    budget = (getattr(one.original_route, "openapi_extra", None) or {}).get("x-query-budget")
                    path = filled(one.path_format, known) + needed
                    yield Asked(method, one.path_format, path, page=True, budget=budget)
