"""The main flows as a person goes through them: headless Chromium on the served product with its sample data.

The ``page`` fixture fails a test when a request leaves the machine or a script fails. The tests share one server and
keep out of each other's way by working on different prompts; the last one takes the samples away.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import Served

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

PHONE = {"width": 390, "height": 844}


def expect(what: Any) -> Any:
    from playwright.async_api import expect as wait_for

    return wait_for(what)


async def open_prompt(page: Page, served: Served, name: str) -> None:
    """From the list to the page of the prompt, as people go."""
    folder = name.rpartition("/")[0]
    await page.goto(f"{served.url}/w/main/prompts?folder={folder}")
    await page.get_by_role("link", name=name.rpartition("/")[2], exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(name.rpartition("/")[2])


async def told(page: Page, text: str) -> None:
    """The message about what just happened."""
    await expect(page.locator(".main .notice-done, .main .notice").first).to_contain_text(text)


async def put(field: Any, text: str) -> None:
    """Fills a field at once: as typing it would be, a text of thousands of lines takes Chromium a minute."""
    await field.evaluate("(field, text) => { field.value = text; }", text)


async def test_from_the_start_page_to_a_rollback(page: Page, served: Served) -> None:
    await page.goto(served.url)
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    await page.get_by_role("navigation", name="Main").get_by_role("link", name="Prompts").click()
    await page.get_by_role("link", name="support/triage", exact=True).click()
    await page.get_by_role("navigation", name="Prompt").get_by_role("link", name="Versions").click()
    await page.locator("li", has_text="Half the tokens").get_by_role("link", name="Changes").click()
    await expect(page.get_by_role("heading", name="v3 → v4")).to_be_visible()
    await expect(page.locator(".diff del").first).to_be_visible()
    await page.get_by_role("link", name="Side by side").click()
    assert "view=split" in page.url
    await page.go_back()
    await page.get_by_label("Breadcrumbs").get_by_role("link", name="triage").click()

    await page.get_by_role("link", name="Edit", exact=True).click()
    await page.locator("textarea[name='messages-1-content']").fill("Ticket:\n{{ticket}}")
    await page.get_by_label("What changed").fill("Say that it is a ticket")
    await page.keyboard.press("Control+Enter")
    await told(page, "Saved v7.")
    await expect(page.locator(".message-user")).to_contain_text("Ticket:")

    await page.get_by_role("navigation", name="Prompt").get_by_role("link", name="Versions").click()
    await page.get_by_label("Label", exact=True).fill("production")
    await page.get_by_role("button", name="Move", exact=True).click()
    await told(page, "production points at v7 now, no longer at v3.")
    await page.get_by_role("button", name="Undo").click()
    await told(page, "production points at v3 now")

    await page.get_by_role("link", name="v6", exact=True).first.click()
    await page.get_by_role("button", name="Roll back to v6").click()
    await page.get_by_role("dialog").get_by_role("button", name="Roll back to v6").click()
    await told(page, "main is at v6 again.")


async def test_writes_a_prompt(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/w/main/prompts")
    await page.keyboard.press("n")
    await page.get_by_label("Name").fill("browser/support")
    await page.get_by_label("Content").fill("お客様の質問に答えてください: {{question}}")
    await page.get_by_role("button", name="Add a message").click()
    await page.get_by_label("Content").nth(1).fill("Example answer")
    await page.get_by_role("button", name="Move up").nth(1).click()
    await page.get_by_text("Variables, model parameters").click()
    await page.get_by_label("Model parameters").fill("{temperature: 0}")
    await page.get_by_role("button", name="Create prompt").click()
    wrong = page.locator("#parameters-wrong")
    await expect(wrong).to_contain_text("is not valid JSON")
    await expect(page.get_by_label("Content").first).to_have_value("Example answer")
    await page.get_by_label("Model parameters").fill('{"temperature": 0}')
    await page.get_by_role("button", name="Create prompt").click()
    await told(page, "Created browser/support.")
    await expect(page.locator(".message").first).to_contain_text("Example answer")
    await page.get_by_label("question").fill("送料は?")
    await page.get_by_role("button", name="Render").click()
    await expect(page.locator("#rendered")).to_contain_text("お客様の質問に答えてください: 送料は?")


async def test_writes_a_prompt_without_scripts(browser: Browser, served: Served) -> None:
    context = await browser.new_context(java_script_enabled=False)
    await context.add_cookies(served.cookies)
    page = await context.new_page()
    await page.goto(f"{served.url}/w/main/prompts/new")
    await page.get_by_label("Name").fill("browser/plain")
    await page.get_by_label("Content").fill("second")
    await page.get_by_role("button", name="Add a message").click()
    await page.get_by_label("Content").nth(1).fill("first")
    await page.get_by_role("button", name="Move up").nth(1).click()
    await expect(page.get_by_label("Content").nth(0)).to_have_value("first")
    await page.get_by_role("button", name="Remove this message").nth(1).click()
    await page.get_by_role("button", name="Create prompt").click()
    await told(page, "Created browser/plain.")
    await page.get_by_role("link", name="Settings").click()
    await page.get_by_role("button", name="Delete").first.click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await told(page, "Deleted browser/plain.")
    await context.close()


async def test_search_marks_what_it_found(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/w/main/prompts")
    await page.wait_for_function("() => window.htmx && document.readyState === 'complete'")  # who types sooner types on
    await page.keyboard.press("/")
    await page.keyboard.type("invoice")
    await expect(page.locator("mark").first).to_have_text(re.compile("invoice", re.IGNORECASE))
    assert "q=invoice" in page.url
    await page.get_by_role("searchbox").fill("商品")
    await expect(page.locator("mark").first).to_have_text("商品")
    await page.get_by_role("searchbox").fill("zzzz nowhere")
    await expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()


async def test_palette_finds_prompts_pages_and_actions(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/w/main")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("meeting")
    await expect(page.get_by_role("option").first).to_contain_text("summarise/meeting-notes")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("meeting-notes")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("templ")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Templates")


async def test_the_keyboard_is_enough(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/w/main/prompts?folder=support&sort=name")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("order-lookup")
    await page.keyboard.press("?")
    await expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("g")
    await page.keyboard.press("t")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Templates")


async def test_a_template_becomes_a_prompt(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/w/main/templates")
    await page.get_by_role("link", name="Classifier", exact=True).click()
    await page.get_by_label("Name").fill("browser/classifier")
    await page.get_by_role("button", name="Use template").click()
    await told(page, "Made from the template.")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("classifier")
    await page.get_by_role("button", name="Undo").click()
    await told(page, "Deleted browser/classifier.")


async def test_merges_a_branch(page: Page, served: Served) -> None:
    await open_prompt(page, served, "sql/analyst")
    await page.get_by_role("navigation", name="Prompt").get_by_role("link", name="Versions").click()
    await page.get_by_text("Merge a branch").click()
    await page.get_by_role("button", name="Look at the merge").click()
    await expect(page.locator(".diff ins").first).to_be_visible()
    await page.get_by_role("button", name="Save the merge").click()
    await told(page, "Merged explain into main")


async def test_deleting_can_be_undone(page: Page, served: Served) -> None:
    await open_prompt(page, served, "code/review")
    await page.get_by_role("navigation", name="Prompt").get_by_role("link", name="Settings").click()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await told(page, "Deleted code/review.")
    await page.get_by_label("Status").select_option("deleted")
    await expect(page.get_by_role("link", name="code/review")).to_be_visible()
    await page.get_by_role("row", name="code/review").get_by_role("button", name="Restore").click()
    await told(page, "Restored with all its versions.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_is_wider_than_a_phone(page: Page, served: Served, scheme: Any) -> None:
    await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    await page.emulate_media(color_scheme=scheme)
    await open_prompt(page, served, "support/triage")
    prompt = page.url
    parts = ["", "/versions", "/versions/2", "/diff?a=2&b=3&view=split", "/edit", "/settings", "/evaluations"]
    addresses = [f"{prompt}{part}" for part in parts]
    addresses += [f"{served.url}/w/main{part}" for part in ("", "/prompts", "/prompts?q=customer", "/templates")]
    for address in addresses:
        await page.goto(address)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
    await page.get_by_role("button", name="Navigation").click()
    await expect(page.get_by_role("link", name="Overview")).to_be_visible()


async def test_long_words_stay_in_the_window(page: Page, served: Served) -> None:
    name = "browser/long/folder/" + "x" * 180
    await page.goto(f"{served.url}/w/main/prompts/new")
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Title").fill("T" * 180)
    await page.get_by_label("Content").fill("Hello")
    await page.get_by_role("button", name="Create prompt").click()
    await told(page, f"Created {name}.")
    prompt = page.url
    for width in (390, 1440):
        await page.set_viewport_size({"width": width, "height": 900})
        for part in ("", "/versions", "/evaluations", "/settings", "/edit", "/versions/1", "/diff"):
            await page.goto(f"{prompt}{part}")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (part, width)
            cut = await page.locator(".crumbs li:visible > *").evaluate_all(
                "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.clientWidth)"
            )
            assert all(room >= 80 for room in cut), (part, width, cut)


async def test_the_theme_is_remembered(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/w/main")
    await page.get_by_role("button", name="Switch between light and dark").click()
    await page.reload()
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"


async def test_a_page_that_is_not_there(page: Page, served: Served) -> None:
    answer = await page.goto(f"{served.url}/w/main/prompts/nothing")
    assert answer is not None
    assert answer.status == 404
    await page.get_by_role("link", name="Search prompts").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Prompts")


async def test_long_prompts_do_not_hang(page: Page, served: Served) -> None:
    lines = [f"{number} the quick brown fox jumps over {{{{dog}}}}" for number in range(3_500)]
    await page.goto(f"{served.url}/w/main/prompts/new")
    await page.get_by_label("Name").fill("browser/long")
    await put(page.get_by_label("Content"), "\n".join(lines))
    await page.get_by_role("button", name="Create prompt").click()
    await told(page, "Created browser/long.")
    assert len("\n".join(lines)) > 144_260
    await page.get_by_role("link", name="Edit", exact=True).click()
    lines[1_700] = "1700 the slow brown fox sleeps"
    await put(page.get_by_label("Content"), "\n".join(lines))
    await page.get_by_role("button", name="Save version").click()
    await told(page, "Saved v2.")
    await page.get_by_role("link", name="Compare versions").click()
    await expect(page.locator(".diff ins").first).to_have_text("slow")


COLLEAGUES = """Vorname;Nachname;Mail;Rolle
Änne;Müller;anne@example.org;user
José;Núñez;jose@example.org;wizard
Alan;Turing;;user
Ada;Lovelace;ada@example.org;manager
Änne;Müller;anne@example.org;user
"""


async def upload(page: Page, served: Served, name: str, data: bytes) -> None:
    """The first step of an import, and the second: what the columns are; most of it is guessed."""
    await page.goto(f"{served.url}/w/main/people/import")
    await page.get_by_label("File").set_input_files({"name": name, "mimeType": "text/csv", "buffer": data})
    await page.get_by_role("button", name="Upload and look").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)
    await expect(page.get_by_label("E-mail address")).to_have_value("Mail")
    await page.get_by_label("Role (optional)").fill("Rolle")
    await page.get_by_role("button", name="Show the preview again").click()


async def run_import(page: Page, button: str, *counts: str) -> None:
    """Presses it, and waits until the page that follows the job says what came of it."""
    await page.get_by_role("button", name=button).click()
    await expect(page.get_by_role("link", name="Import another file")).to_be_visible(timeout=20_000)
    await expect(page.locator(".stats dd")).to_have_text([re.compile(rf"^\s*{count}\b") for count in counts])


async def downloaded(page: Page, role: Any, name: str) -> str:
    async with page.expect_download() as coming:
        await page.get_by_role(role, name=name).click()
    return (await (await coming.value).path()).read_text("utf-8-sig")


async def test_imports_colleagues_fixes_the_rest_and_hands_out_links(
    page: Page, browser: Browser, served: Served
) -> None:
    messy = COLLEAGUES.encode("cp1252")
    await upload(page, served, "colleagues.csv", messy)
    await expect(page.locator(".lede")).to_have_text("Windows-1252, separated by semicolons, 4 columns, 5 rows")
    await expect(page.get_by_text("'wizard' is no role; there are user, manager, admin.")).to_be_visible()
    await run_import(page, "Try it, store nothing", "2", "0", "0", "3")
    await page.get_by_role("link", name="Back to the columns, to import").click()
    await run_import(page, "Import 5 rows", "2", "0", "0", "3")
    report = await downloaded(page, "link", "Download the report")
    assert "There is no e-mail address." in report
    fixed = report.replace("wizard", "user").replace("Alan,Turing,,", "Alan,Turing,alan@example.org,")
    await upload(page, served, "fixed.csv", fixed.encode())
    await run_import(page, "Import 3 rows", "2", "0", "1", "0")  # the double is nobody new
    await expect(page.get_by_text("Every row is imported.")).to_be_visible()
    await upload(page, served, "colleagues.csv", messy)
    await run_import(page, "Import 5 rows", "0", "0", "2", "3")
    await page.goto(f"{served.url}/people")
    await expect(page.locator(".row-link")).to_have_count(5)  # four, and the owner
    await page.go_back()
    await _comes_in_by(await downloaded(page, "button", "Make invitation links"), browser)


async def _comes_in_by(links: str, browser: Browser) -> None:
    rows = links.splitlines()
    assert [row.rpartition(",")[0] for row in rows] == [
        "name,email", "Änne Müller,anne@example.org", "Ada Lovelace,ada@example.org"
    ]  # fmt: skip
    context = await browser.new_context()
    window = await context.new_page()
    await window.goto(rows[2].rpartition(",")[2])
    await expect(window.get_by_role("heading", name="Welcome to Main")).to_be_visible()
    await window.get_by_label("Password").fill("analytical engine")
    await window.get_by_role("button", name="Set the password").click()
    await expect(window.locator(".side-foot")).to_contain_text("Ada Lovelace")
    await context.close()


async def test_samples_go_away_with_one_click(page: Page, served: Served) -> None:
    await page.goto(f"{served.url}/w/main")
    await page.get_by_role("button", name="Remove samples").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove samples").click()
    await told(page, "The sample data is gone")
    await expect(page.get_by_role("button", name="Remove samples")).to_have_count(0)
    await page.goto(f"{served.url}/w/main/prompts")
    await expect(page.get_by_role("link", name="support/triage", exact=True)).to_be_visible()  # it was changed
    await expect(page.get_by_role("link", name="code/commit-message", exact=True)).to_have_count(0)
