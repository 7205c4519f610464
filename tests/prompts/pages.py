"""A browser without scripts for the pages of prompts, and what tests ask of what it gets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import html5lib
import httpx2
import pytest

from autoforge.access import Actor
from autoforge.access.deps import Gate
from autoforge.access.limits import Budgets
from autoforge.db import Database
from autoforge.prompts import commands, pages, template_pages, version_commands, version_pages
from autoforge.prompts.commands import Created, Draft
from autoforge.prompts.content import parse_content
from tests.web.client import serving

W = "/w/main"
Form = dict[str, str]
PARTS = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "{{picture}}"}}]
RICH = {
    "messages": [
        {"role": "developer", "content": "\nBe brief.\n\n", "name": "boss"},
        {"role": "user", "content": PARTS},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "type": "function"}]},
        {"role": "tool", "content": "42", "tool_call_id": "1"},
    ],
    "engine": "none",
    "variables": [{"name": "picture", "description": "Where it is", "default": 1.0, "required": False}],
    "parameters": {"temperature": 0.5, "stop": ["\n"]},
    "tools": [{"type": "function", "function": {"name": "look"}}],
    "response_schema": {"type": "object"},
}


@pytest.fixture
async def client(database: Database, owner: Actor) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser without scripts: it asks for HTML and keeps cookies, and follows no redirect by itself."""
    rooms = (pages.router, version_pages.router, template_pages.router)
    async with serving(database, owner, pages=rooms) as opened:
        opened.app.state.gate = Gate(b"a secret for tests", Budgets(database, 0), owner=owner)  # type: ignore[attr-defined]
        opened.headers["Accept"] = "text/html"
        yield opened


async def make_prompt(database: Database, owner: Actor, name: str = "support/triage", *texts: Any) -> Created:
    """A prompt with a version on ``main`` for each text (or content)."""
    first, *others = texts or ("Hello {{name}}",)
    async with database.write() as session:
        made = await commands.create(session, owner, Draft(name, parse_content(first), title=f"Title of {name}"))
        for text in others:
            await version_commands.save(session, owner, made.prompt_id, parse_content(text))
    return made


async def branch(database: Database, owner: Actor, prompt_id: UUID, name: str, text: str, start: int = 1) -> None:
    async with database.write() as session:
        await version_commands.move_head(session, owner, prompt_id, "branch", name, start)
        await version_commands.save(session, owner, prompt_id, parse_content(text), branch=name)


def parsed(answer: httpx2.Response) -> Any:
    """The page's tree; markup that is not well-formed raises."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(answer.text)


def typed(answer: httpx2.Response, action: str = "") -> Form:
    """What the page's form holds (of the form whose address ends so), as a browser would send it back."""
    forms = [one for one in parsed(answer).iter("form") if one.get("method") == "post"]
    form = next(one for one in forms if one.get("action", "").endswith(action))
    return {name: value for name, value in fields(form) if name and name != "action"}


def fields(form: Any) -> Iterator[tuple[str, str]]:
    templates = {child for template in form.iter("template") for child in template.iter()}
    for field in form.iter():
        if field in templates or (field.get("type") in ("radio", "checkbox") and field.get("checked") is None):
            continue
        if field.tag == "input":
            yield field.get("name", ""), field.get("value", "")
        elif field.tag == "textarea":
            yield field.get("name", ""), field.text or ""
        elif field.tag == "select":
            chosen = [one for one in field.iter("option") if one.get("selected") is not None]
            yield field.get("name", ""), (chosen or list(field.iter("option")))[0].get("value", "")


def words(answer: httpx2.Response) -> str:
    return " ".join("".join(parsed(answer).find(".//main").itertext()).split())


def wrong(answer: httpx2.Response) -> list[str]:
    """The messages at fields, and the one above the form."""
    return ["".join(one.itertext()).strip() for one in parsed(answer).iter() if "wrong" in one.get("class", "").split()]


async def followed(client: httpx2.AsyncClient, answer: httpx2.Response) -> httpx2.Response:
    assert answer.status_code == 303, answer.text[:2000]
    return await client.get(answer.headers["location"])


def editor(*contents: str, **more: str) -> Form:
    """What the editor sends for messages of the user."""
    form: Form = {"action": "save", "engine": "auto", "branch": "main"}
    for i, content in enumerate(contents):
        form |= {f"messages-{i}-role": "user", f"messages-{i}-content": content}
    return form | more
