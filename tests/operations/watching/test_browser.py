"""The operator's pages in a real browser: their charts are drawn under the policy, and a profile unfolds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers import Served

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.anyio


async def test_an_operator_looks_at_the_service_and_profiles_a_request(served: Served, page: Page) -> None:
    await page.goto(f"{served.url}/api/v1/prompts")  # something to count
    await page.goto(f"{served.url}/w/main")
    await page.get_by_role("link", name="Service", exact=True).click()
    await page.get_by_role("heading", name="Objectives").wait_for()
    await page.locator("[data-chart] canvas").first.wait_for()
    await page.get_by_role("link", name="Statements").click()
    await page.get_by_role("link", name="overview.totals").click()
    await page.get_by_role("heading", name="Plan").wait_for()
    await page.goto(f"{served.url}/operations/profiles")
    await page.get_by_role("button", name="Profile a request").click()
    await page.get_by_text("The next request to /w/main/prompts is profiled.").wait_for()
    await page.goto(f"{served.url}/w/main/prompts")
    await page.goto(f"{served.url}/operations/profiles")
    await page.get_by_role("link", name="GET /w/{workspace}/prompts").click()
    await page.locator(".calls details[open]").nth(2).wait_for()
    await page.set_viewport_size({"width": 390, "height": 844})
    for address in (page.url, *(f"{served.url}/operations/{part}" for part in ("service", "statements", "profiles"))):
        await page.goto(address)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
