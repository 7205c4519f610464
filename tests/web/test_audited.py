"""What a route changes stands in the audit log: every one is asked, and whatever it did has an entry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from autoforge.db import models as m
from tests.web.examples import LAST, Asked, everything
from tests.web.site import Site, key, opened, settings

BODIES: dict[str, dict[str, Any]] = {
    "PATCH /api/v1/prompts/{prompt_id}": {"title": "New"},
    "POST /api/v1/prompts/{prompt_id}/merge": {"source": "idea"},
    "PATCH /api/v1/templates/{template_id}": {"description": "New"},
    "POST /api/v1/templates/{template_id}/use": {"name": "made/of-it"},
    "PATCH /api/v1/suites/{suite_id}": {"description": "New"},
}
"""Where the smallest body that the document allows would change nothing."""
CHANGES_NOTHING = {
    "POST /api/v1/prompts/{prompt_id}/versions/{number}/render": "it only fills in variables",
    "POST /api/v1/users/{user_id}/activate": "whoever asks is active already",
}
NEEDS_A_FILE = {"POST /api/v1/prompts/import"}
"""What the examples cannot ask."""


@pytest.fixture
async def site(tmp_path: Path, database_url: str) -> AsyncIterator[Site]:
    async with opened(settings(tmp_path / "data", database_url)) as running:
        yield running


async def entries(site: Site) -> int:
    async with site.database.read() as session:
        return int(await session.scalar(select(func.count()).select_from(m.AuditEntry)) or 0)


async def start_branch(site: Site, asked: list[Asked]) -> None:
    """A branch with something to merge."""
    at = next(one.path for one in asked if one.template == "/api/v1/prompts/{prompt_id}")
    assert (await site.client.put(f"{at}/heads/branch/idea", json={"number": 1})).status_code == 204
    body = {"content": "Something else", "branch": "idea"}
    assert (await site.client.post(f"{at}/versions", json=body)).status_code == 201


def _turn(one: Asked) -> int:
    """What is deleted is deleted last, and what it belongs to after it, so that everything is there to be changed."""
    return -one.template.count("/") if one.method == "DELETE" else -100


async def test_whatever_a_route_changes_has_an_entry(site: Site) -> None:
    asked = [one for one in await everything(site) if not one.page and one.place not in LAST]
    await start_branch(site, asked)
    silent, refused = [], set()
    for one in sorted((one for one in asked if one.method != "GET"), key=_turn):
        site.client.headers.update(await key(site.app, site.owner))  # one that no request has ended
        if one.template.endswith("/restore"):
            await site.client.delete(one.path.removesuffix("/restore"))
        before = await entries(site)
        sent = {"json": BODIES[one.place]} if one.place in BODIES else one.sent()
        answer = await site.client.request(one.method, one.path, **sent)
        if not answer.is_success:
            refused.add(one.place)
        elif await entries(site) == before and one.place not in CHANGES_NOTHING:
            silent.append(one.place)
    assert silent == []
    ours = {one for one in refused if "v1/prompts" in one or "v1/templates" in one}
    assert ours - NEEDS_A_FILE - CHANGES_NOTHING.keys() == set()
