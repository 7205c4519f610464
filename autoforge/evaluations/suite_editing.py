"""Suites for people who write: a new one from tests that are typed or uploaded, changing one, deleting, bringing back.

The tests are promptfoo's, as a list or as a whole configuration. Replacing them keeps the id of each case that stays as
it is, so that earlier results still belong to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from autoforge.access.deps import Who
from autoforge.errors import AutoforgeError, BadInput, Conflict, Stale, TooLarge, steps_of
from autoforge.evaluations import suite_commands, suite_queries
from autoforge.evaluations.config import EvaluationConfig
from autoforge.evaluations.suite_imports import config_of_upload
from autoforge.web.deps import Db
from autoforge.web.forms import PageId, plain_lines, whole
from autoforge.web.html import page, seen
from autoforge.web.links import Links
from autoforge.web.responses import budget

router = APIRouter(prefix="/w/{workspace}/suites")

_TEXTS = ("name", "description", "tests", "row_version")
_TYPED = "tests.yaml"
"""What the readers call the tests that were typed."""
_KINDS = {"tests": "test", "assert": "assertion", "prompts": "prompt", "scenarios": "scenario", "config": "set"}
_LARGEST_FIELD = 16 * 1024 * 1024


@router.get("/new", openapi_extra=budget(0))
async def new_suite(request: Request, actor: Who) -> Response:
    actor.needs("suites:write")
    return _form(request, None, dict.fromkeys(_TEXTS, ""), None)


def _form(request: Request, suite: Any, values: Mapping[str, str], error: AutoforgeError | None) -> Response:
    context = {"suite": suite, "values": values, "errors": {} if error is None else _errors(error)}
    return page(request, "suites/edit.html", context, status=200 if error is None else error.status)


def _errors(error: AutoforgeError) -> dict[str, str]:
    """By field; what is wrong inside of the tests says where."""
    if isinstance(error, Stale):
        return {"": error.detail}
    found: dict[str, str] = {}
    for one in error.errors:
        name = one.pointer.strip("/")
        told = _said(one.message) if name in _TEXTS or not name else f"{_place(f'/{name}')}: {one.message}"
        found.setdefault(name if name in _TEXTS else "tests", told)
    return found or {"name" if isinstance(error, Conflict) else "tests": _said(error.detail)}


def _place(pointer: str) -> str:
    """Where in the tests something is, for people: ``/0/assert/1/type`` is ``Test 1, assertion 2``."""
    words, kind = [], "test"
    for token in steps_of(pointer):
        if token.isdigit():
            words.append(f"{kind} {int(token) + 1}")
        elif token in _KINDS:
            kind = _KINDS[token]
        elif token != "type":
            words.append(token)
    text = ", ".join(words) or "The tests"
    return f"{text[:1].upper()}{text[1:]}"


def _said(text: str) -> str:
    """Without the name of a file, which what was typed has not."""
    plain = text.removeprefix(f"{_TYPED}, ").removeprefix(f"{_TYPED}: ")
    return f"{plain[:1].upper()}{plain[1:]}"


@router.post("")
async def create_suite(request: Request, database: Db, actor: Who) -> Response:
    values, file = await _sent(request)
    try:
        config = await asyncio.to_thread(_config, values, file)
        if config is None:
            raise BadInput.at("/tests", "Write the tests here, or choose a file that holds them.")
        name = values["name"].strip() or " ".join(config.name.split())[: suite_commands.LONGEST_NAME]
        about = (name, values["description"].strip(), config.cases)
        async with database.write(bulk=True) as session:
            stored = await suite_commands.create_suite(session, actor, *about)
    except (BadInput, TooLarge, Conflict) as error:
        return _form(request, None, values, error)
    links = Links(actor.workspace_slug)
    return seen(links.suite(stored.suite_id), _told(config), undo=links.suite(stored.suite_id, "delete"))


async def _sent(request: Request) -> tuple[dict[str, str], tuple[bytes, str] | None]:
    """What was typed, and the file with its name when one was chosen."""
    async with request.form(max_files=1, max_fields=10, max_part_size=_LARGEST_FIELD) as form:
        values = {name: plain_lines(str(form.get(name) or "")) for name in _TEXTS}
        file = form.get("file")
        if isinstance(file, UploadFile) and file.filename:
            return values, (await file.read(), file.filename)
    return values, None


def _config(values: Mapping[str, str], file: tuple[bytes, str] | None) -> EvaluationConfig | None:
    """The tests of the file, or those that were typed; None when there are neither."""
    if file is None and not values["tests"].strip():
        return None
    config = config_of_upload(*(file or (values["tests"].encode(), _TYPED)))
    if not config.cases:
        raise BadInput.at("/tests", " ".join(["This holds no test cases.", *map(str, config.notices[:3])]))
    return config


def _told(config: EvaluationConfig) -> str:
    count = f"{len(config.cases):,} {'case is' if len(config.cases) == 1 else 'cases are'} stored."
    return " ".join([count, *map(str, config.notices[:3])])


@router.get("/{suite_id}/edit", openapi_extra=budget(1))
async def edit_suite(suite_id: PageId, request: Request, database: Db, actor: Who) -> Response:
    actor.needs("suites:write")
    async with database.read() as session:
        suite = await suite_queries.one(session, actor.workspace_id, suite_id)
    values = {"name": suite.name, "description": suite.description, "tests": "", "row_version": str(suite.row_version)}
    return _form(request, suite, values, None)


@router.post("/{suite_id}/edit")
async def save_suite(suite_id: PageId, request: Request, database: Db, actor: Who) -> Response:
    values, file = await _sent(request)
    async with database.read() as session:
        suite = await suite_queries.one(session, actor.workspace_id, suite_id)
    try:
        expected = whole(values, "row_version")
        config = await asyncio.to_thread(_config, values, file)
        changes = {name: values[name].strip() for name in ("name", "description")}
        async with database.write(bulk=config is not None) as session:
            await suite_commands.edit_suite(session, actor, suite_id, changes, expected=expected)
            if config is not None:
                await suite_commands.replace_cases(session, actor, suite_id, config.cases)
    except (BadInput, TooLarge, Conflict, Stale) as error:
        return _form(request, suite, values, error)
    return seen(Links(actor.workspace_slug).suite(suite_id), "Saved." if config is None else _told(config))


@router.post("/{suite_id}/delete")
async def delete_suite(suite_id: PageId, database: Db, actor: Who) -> Response:
    links = Links(actor.workspace_slug)
    async with database.write() as session:
        await suite_commands.delete_suite(session, actor, suite_id)
    return seen(links.suites(), "Deleted the suite. Its runs stay.", undo=links.suite(suite_id, "restore"))


@router.post("/{suite_id}/restore")
async def restore_suite(suite_id: PageId, database: Db, actor: Who) -> Response:
    links = Links(actor.workspace_slug)
    try:
        async with database.write() as session:
            await suite_commands.restore_suite(session, actor, suite_id)
    except Conflict as error:
        return seen(links.suites(), error.detail, "failed")
    return seen(links.suite(suite_id), "The suite is back.")
