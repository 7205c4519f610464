"""The first start, the command line, and the doors as a person sees them in a browser."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import servers

if TYPE_CHECKING:
    from playwright.async_api import Browser

MAIN = "import sys; from autoforge.cli import main; sys.argv[0] = 'autoforge'; sys.exit(main())"


def autoforge(*arguments: str, data: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    where = ["--data", str(data)] if data is not None else []
    command = [sys.executable, "-c", MAIN, *arguments, *where]
    variables = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=variables)


def expect(what: Any) -> Any:
    from playwright.async_api import expect as wait_for

    return wait_for(what)


@pytest.fixture
def first_start(tmp_path: Path) -> Any:
    with servers.serve(tmp_path / "data", "--no-samples", sign_in=True) as running:
        yield running


async def test_from_the_printed_link_to_a_colleague_who_signs_out(browser: Browser, first_start: Any) -> None:
    owner = await (await browser.new_context()).new_page()
    await owner.goto(f"{first_start.url}/w/main/prompts")
    await expect(owner.get_by_role("heading", name="Sign in")).to_be_visible()
    await owner.goto(first_start.link)
    await expect(owner.get_by_role("heading", name="Overview")).to_be_visible()
    assert "token" not in owner.url

    await owner.goto(f"{first_start.url}/people/new")
    await owner.get_by_label("Name").fill("Grace Hopper")
    await owner.get_by_label("E-mail address").fill("grace@example.com")
    await owner.get_by_role("button", name="Create person").click()
    link = await owner.locator(".handed pre").inner_text()
    await owner.get_by_role("navigation", name="Main").get_by_role("link", name="People").click()
    await owner.get_by_label("E-mail address").fill("grace@example.com")
    await owner.get_by_role("button", name="Add", exact=True).click()
    await expect(owner.locator(".notice-done")).to_contain_text("is a member now")

    grace = await (await browser.new_context()).new_page()
    await grace.goto(link)
    await grace.get_by_label("Password").fill("correct horse battery")
    await grace.get_by_role("button", name="Set the password").click()
    await expect(grace.locator(".side-foot")).to_contain_text("Grace Hopper")
    await grace.locator(".workspace summary").click()
    await expect(grace.locator(".workspace .menu-list a")).to_have_count(3)  # main, her own, all
    await expect(grace.get_by_role("link", name="Audit log")).to_have_count(0)
    await grace.locator(".side-foot summary").click()
    await grace.get_by_role("button", name="Sign out").click()
    await expect(grace.locator(".notice-done")).to_contain_text("You are signed out.")
    await grace.get_by_label("E-mail address").fill("grace@example.com")
    await grace.get_by_label("Password").fill("not the password")
    await grace.get_by_role("button", name="Sign in", exact=True).click()
    await expect(grace.get_by_text("The address or the password is wrong.")).to_be_visible()
    await owner.context.close()
    await grace.context.close()


async def test_the_link_can_be_pasted_without_scripts(browser: Browser, first_start: Any) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(first_start.link)
    await page.get_by_text("Sign in with a link").click()
    await page.get_by_label("The link").fill(first_start.link)
    await page.get_by_role("button", name="Use the link").click()
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    await context.close()


def test_a_link_is_printed_until_somebody_has_signed_in(tmp_path: Path) -> None:
    for number in range(3):
        with servers.serve(tmp_path / "data", "--no-samples", sign_in=True) as running:
            assert bool(running.link) == (number < 2)
            if number == 1:
                servers.signed_in(running)
                link = autoforge("users", "link", data=running.data).stdout
                assert link.startswith(f"{running.url}/sign-in#token=")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "set AUTOFORGE_SECRET"),
        ({"AUTOFORGE_SECRET": "x" * 32, "AUTOFORGE_SIGN_IN": "false"}, "people have to sign in"),
        ({"AUTOFORGE_SECRET": "short"}, "AUTOFORGE_SECRET is wrong"),
    ],
)
def test_what_others_can_reach_needs_a_secret_and_sign_in(
    tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    refused = autoforge("serve", "--host", "0.0.0.0", data=tmp_path / "data", **environment)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "short" not in refused.stderr


def test_people_keys_and_the_log_on_the_command_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = autoforge("users", "create", "Ada@example.com", "--role", "manager", data=data)
    assert "/welcome#token=" in made.stdout, made.stderr
    assert autoforge("users", "create", "ada@example.com", data=data).returncode == 2
    assert "ada@example.com" in autoforge("users", "list", "--role", "manager", data=data).stdout
    key = autoforge("keys", "create", "nightly", "--scope", "prompts:read", data=data).stdout.strip()
    listed = autoforge("keys", "list", data=data).stdout
    assert re.fullmatch(r"afn_\S{43}", key)
    assert key not in listed
    assert autoforge("keys", "revoke", listed.split()[0], data=data).returncode == 0
    verified = autoforge("audit", "verify", data=data)
    newest = verified.stdout.split()[-1]
    assert verified.returncode == 0
    assert autoforge("audit", "verify", "--anchor", newest, data=data).returncode == 0
    assert autoforge("audit", "verify", "--anchor", f"1:{'00' * 32}", data=data).returncode == 1
    lines = autoforge("audit", "export", data=data).stdout.splitlines()
    assert len(lines) == int(newest.partition(":")[0])


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_what_is_made_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Whatever the shell's mask says; what was there before keeps the mode that somebody gave it."""
    before = os.umask(0o022)
    try:
        assert autoforge("users", "list", data=tmp_path / "parent" / "data").returncode == 0
        (tmp_path / "shared").mkdir(mode=0o755)
        assert autoforge("users", "list", data=tmp_path / "shared").returncode == 0
        with sqlite3.connect(tmp_path / "shared" / "autoforge.db") as connection:
            connection.execute("PRAGMA journal_mode").fetchall()
            connection.execute("SELECT count(*) FROM users").fetchall()
            found = list((tmp_path / "shared").iterdir())
        connection.close()
    finally:
        os.umask(before)
    found += list((tmp_path / "parent" / "data").iterdir())
    assert {"autoforge.db", "autoforge.db-wal", "autoforge.db-shm"} <= {path.name for path in found}
    assert [path.name for path in found if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077] == []
    assert stat.S_IMODE((tmp_path / "parent" / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o755
