"""Every page template with every sample: it renders, it is well-formed, it obeys the policy, it can be used by all.

One test per promise, over all pages at once: a template that is added without a sample fails the first of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest
from markupsafe import Markup

from autoforge.db import clock
from autoforge.web.rendering import STATIC, Page, environment, static
from tests.web.samples import NOISY_PAGE, NOW, OWNER, PAGES, filled, page

CASES = [(name, i) for name, contexts in PAGES.items() for i in range(len(contexts))]
EVERY_PAGE = pytest.mark.parametrize(("name", "i"), CASES, ids=[f"{name}-{i}" for name, i in CASES])
OWN_ASSETS = [p for p in STATIC.rglob("*") if p.is_file() and "vendor" not in p.parts]
TEMPLATES = [name for name in environment().list_templates() if name.endswith(".html")]
UNEVEN = {"suites/show.html", "evaluations/result.html", "evaluations/show.html", "evaluations/compare.html"}
"""Pages whose parts have fourth headings below the second."""
VOID_OF_TEXT = {"input", "select", "textarea"}


@cache
def html(name: str, i: int, noisy: bool = False) -> str:
    with clock.running_on(lambda: NOW):
        return filled(name, NOISY_PAGE if noisy else page(name), PAGES[name][i])


@cache
def tree(name: str, i: int) -> Element:
    """The parsed page; html5lib's strict mode raises at the first error of the markup."""
    root: Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html(name, i))
    return root


def source(name: str) -> str:
    return environment().loader.get_source(environment(), name)[0]  # type: ignore[union-attr]


def ancestors(root: Element) -> dict[Element, Element]:
    return {child: parent for parent in root.iter() for child in parent}


def test_every_page_has_a_sample() -> None:
    frames = {"base.html", "prompts/frame.html", "evaluations/frame.html", "access/frame.html", "people/frame.html"}
    pages = {name for name in TEMPLATES if '{% extends "' in source(name)} - frames
    assert pages == set(PAGES)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_every_template_says_what_it_expects(name: str) -> None:
    text = source(name)
    assert text.startswith(("{#", "{% set tab"))
    assert "{#" in text


@EVERY_PAGE
def test_renders_and_is_well_formed(name: str, i: int) -> None:
    assert tree(name, i).find(".//main") is not None
    assert "None" not in (tree(name, i).findtext(".//title") or "")


@EVERY_PAGE
def test_renders_with_messages_and_filters(name: str, i: int) -> None:
    text = html(name, i, noisy=True)
    html5lib.HTMLParser(strict=True).parse(text)
    assert "SQLite 3.40 is older" in text


def test_a_page_that_is_not_told_who_asks_is_nobodys() -> None:
    """Whoever forgets to say it shows less than they might, and not what an administrator sees."""
    nobody = Page()
    assert (nobody.user, nobody.role, nobody.may("audit:read")) == ("", "", False)
    for i, context in enumerate(PAGES["access/audit.html"]):
        assert "Whole server" in html("access/audit.html", i)
        text = filled("access/audit.html", nobody, context)
        assert "Whole server" not in text
        assert "Sign out" not in text


@EVERY_PAGE
def test_obeys_the_content_security_policy(name: str, i: int) -> None:
    for element in tree(name, i).iter():
        if not isinstance(element.tag, str):
            continue
        assert element.tag != "style"
        handlers = [key for key in element.attrib if key.startswith(("on", "hx-on")) or key == "style"]
        assert not handlers, (element.tag, handlers)
        if element.tag == "script" and not element.get("src"):
            assert element.get("type") == "application/json"
            json.loads(element.text or "")


@EVERY_PAGE
def test_nothing_comes_from_elsewhere(name: str, i: int) -> None:
    for element in tree(name, i).iter():
        for key in ("src", "href", "action", "hx-get", "{http://www.w3.org/1999/xlink}href"):
            address = element.get(key)
            if address is not None:
                assert re.match(r"/(?!/)|[#?]|$", address), (element.tag, key, address)


@pytest.mark.parametrize("path", OWN_ASSETS, ids=lambda path: path.name)
def test_assets_name_no_other_host(path: Any) -> None:
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|[\"'(]//|@import", text)


@EVERY_PAGE
def test_every_field_has_a_label(name: str, i: int) -> None:
    root = tree(name, i)
    above = ancestors(root)
    labelled = {label.get("for") for label in root.iter("label")}
    for field in root.iter():
        if field.tag not in VOID_OF_TEXT or field.get("type") == "hidden":
            continue
        wrapped, at = False, field
        while at in above:
            at = above[at]
            wrapped = wrapped or at.tag == "label"
        assert field.get("id") in labelled or field.get("aria-label") or wrapped, field.attrib


def _text(element: Element) -> str:
    return "".join(element.itertext()).strip()


@EVERY_PAGE
def test_everything_that_acts_has_a_name(name: str, i: int) -> None:
    for element in tree(name, i).iter():
        if element.tag == "img":
            assert element.get("alt") is not None
        if element.tag in ("a", "button", "summary", "h1", "h2"):
            assert _text(element) or element.get("aria-label"), element.attrib
        if element.tag == "svg":
            assert element.get("aria-hidden") == "true" or element.get("aria-label")


@EVERY_PAGE
def test_ids_are_unique_and_references_lead_somewhere(name: str, i: int) -> None:
    root = tree(name, i)
    template = [id(e) for part in root.iter("template") for e in part.iter()]
    elements = [element for element in root.iter() if isinstance(element.tag, str) and id(element) not in template]
    ids = [element.get("id") for element in elements if element.get("id")]
    assert len(ids) == len(set(ids)), [one for one in ids if ids.count(one) > 1]
    for element in elements:
        for key in ("for", "popovertarget", "aria-describedby", "aria-labelledby", "aria-controls", "list"):
            for target in (element.get(key) or "").split():
                assert target in ids, (key, target)


@EVERY_PAGE
def test_headings_start_with_one_first_heading(name: str, i: int) -> None:
    main = tree(name, i).find(".//main")
    assert main is not None
    assert len(list(main.iter("h1"))) == 1


@EVERY_PAGE
def test_headings_leave_out_no_level(name: str, i: int) -> None:
    main = tree(name, i).find(".//main")
    assert main is not None
    levels = [int(element.tag[1]) for element in main.iter() if element.tag in ("h1", "h2", "h3", "h4")]
    if name not in UNEVEN:
        assert all(after - before < 2 for before, after in pairwise(levels)), levels


def test_the_tabs_of_a_prompt_have_titles_of_their_own() -> None:
    tabs = ("show", "versions", "evaluations", "settings", "diff", "edit", "merge")
    titles = [(tree(f"prompts/{tab}.html", 0).findtext(".//title") or "").removeprefix("Error: ") for tab in tabs]
    assert len(set(titles)) == len(tabs), titles


def test_what_is_missing_is_a_dash_and_no_full_bar() -> None:
    rows = list(tree("operations/service.html", 1).find(".//main").iter("tr"))[1:5]  # type: ignore[union-attr]
    for row in rows:
        text = " ".join(_text(row).split())
        assert "100%" not in text
        assert "spent" not in text
        assert row.find(".//svg[@class='bar']") is None


def test_one_has_one_role_in_a_workspace_on_all_pages() -> None:
    headers = {"Role in this workspace"}
    for name in ("people/members.html", "people/show.html", "access/account.html"):
        found = {_text(one) for one in tree(name, 0).iter("th") if "ole" in _text(one)}
        assert found == headers, name
        assert "Member since" not in html(name, 0)
    ada = next(row for row in tree("people/members.html", 0).iter("tr") if "Ada" in _text(row))
    assert "Manager admin of the server" in " ".join(_text(ada).split())
    assert "Manager admin of the server" in " ".join(_text(tree("access/account.html", 0)).split())


@EVERY_PAGE
def test_after_an_error_one_goes_on_where_it_is(name: str, i: int) -> None:
    root = tree(name, i)
    errors = PAGES[name][i].get("errors")
    wrong = [element for element in root.iter() if element.get("aria-invalid")]
    focused = [element for element in root.iter() if "autofocus" in element.attrib]
    assert len(focused) <= 1
    if errors and wrong:
        assert focused == wrong[:1]
    assert (root.findtext(".//title") or "").startswith("Error: ") == bool(errors)


EVIL = '<evil x="1">\'"&</evil>{{ 7*7 }}'


def _poisoned(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return f"{value}{EVIL}"
    if isinstance(value, Mapping):
        return {key: one if key == "kind" else _poisoned(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_poisoned(one) for one in value)
    return value


@EVERY_PAGE
def test_markup_in_data_is_only_text(name: str, i: int) -> None:
    query = ((EVIL, EVIL), ("q", EVIL), ("sort", EVIL), ("metric", EVIL))
    evil = Page(query=query, **{**OWNER, "user": EVIL}, notices=(EVIL,))
    text = filled(name, evil, _poisoned(PAGES[name][i]))
    assert "<evil" not in text
    root = html5lib.HTMLParser(namespaceHTMLElements=False).parse(text)
    assert root.find(".//evil") is None
    assert not [e for e in root.iter() if isinstance(e.tag, str) and e.get("x") == "1"]


def _macros() -> Iterator[tuple[str, str]]:
    for name in TEMPLATES:
        for symbol in re.findall(r"\bicon(?:_name=|\()\s*\"([a-z-]+)\"", source(name)):
            yield name, symbol


def test_every_icon_is_drawn() -> None:
    drawn = set(re.findall(r'<symbol id="([a-z-]+)"', (STATIC / "icons.svg").read_text()))
    assert {symbol for _, symbol in _macros()} <= drawn


def test_style_sheets_stay_small() -> None:
    assert sum(path.stat().st_size for path in STATIC.glob("*.css")) < 44_000


def test_vendored_files_come_with_their_licence() -> None:
    for folder in (STATIC / "vendor").iterdir():
        assert (folder / "LICENSE.txt").is_file()


def test_assets_are_addressed_by_their_content() -> None:
    assert re.fullmatch(r"/static/base\.css\?v=[0-9a-f]{12}", static("base.css"))
    with pytest.raises(FileNotFoundError):
        static("nothing.css")
