"""XML and HTML."""

from __future__ import annotations

from typing import Any

import pytest

BOMB = '<!DOCTYPE a [<!ENTITY x "boom"><!ENTITY y "&x;&x;">]><a>&y;</a>'


@pytest.mark.parametrize(
    "text", ["<a/>", "<?xml version='1.0'?>\n<a><b>1</b></a>\n", "<a x='1'>é &amp; <![CDATA[<]]></a>"]
)
def test_xml(judge: Any, text: str) -> None:
    assert judge({"type": "is-xml"}, text).outcome == "pass"
    assert judge({"type": "not-is-xml"}, text).outcome == "fail"
    assert judge({"type": "contains-xml"}, f"Here: {text.split('?>')[-1]} bye").outcome == "pass"


@pytest.mark.parametrize(
    "text", ["", "text", "<a>", "<a></b>", "<a/><b/>", "<a>&nope;</a>", "x <a/>", "<a>\x00</a>", BOMB]
)
def test_not_xml(judge: Any, text: str) -> None:
    assert judge({"type": "is-xml"}, text).outcome == "fail"
    assert judge({"type": "not-is-xml"}, text).outcome == "pass"


def test_external_entities_are_not_read(judge: Any, tmp_path: Any) -> None:
    (tmp_path / "secret").write_text("secret")
    text = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]><a>&x;</a>'
    assert judge({"type": "is-xml"}, text).outcome == "fail"


def test_required_elements(judge: Any) -> None:
    raw = {"type": "is-xml", "value": {"requiredElements": ["r.a.b", "r.c", "r.c.@_id"]}}
    assert judge(raw, "<r><a/><a><b/></a><c id='1'/></r>").outcome == "pass"
    missing = judge(raw, "<r><a/><b/><c/></r>")
    assert missing.reason == "the output is XML without the required elements r.a.b, r.c.@_id"
    inside = {"type": "contains-xml", "value": {"requiredElements": ["a.x", "b.y"]}}
    assert judge(inside, "So <a><x/></a> and <br> then <b><y/></b>").outcome == "pass"
    assert judge(inside, "So <a><y/></a>").outcome == "fail"


def test_contains_xml_finds_the_balanced_part(judge: Any) -> None:
    raw = {"type": "contains-xml"}
    assert judge(raw, "2 < 3 <br> and <a>fine</a>").outcome == "pass"
    assert judge(raw, "2 < 3 > 1 <br> <a>").outcome == "fail"
    assert judge({"type": "not-contains-xml"}, "no markup").outcome == "pass"


def test_very_deep_markup_is_judged(judge: Any) -> None:
    text = "<a>" * 20_000 + "</a>" * 20_000
    assert judge({"type": "is-xml", "value": {"requiredElements": ["a.a"]}}, text).outcome == "pass"
    assert judge({"type": "contains-xml"}, text).outcome == "pass"
    assert judge({"type": "is-html"}, text).outcome == "pass"


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE html><html><head><title>a < b</title></head><body><p>Hi<br>there</body></html>",
        "<div>Content</div>",
        "<h1>Title</h1>\n<p>Paragraph</p>",
        '<img src="test.jpg" />',
        "<!-- note --><ul><li>a<li>b</ul>",
        "<script>if (a < b && c > d) { x('</div>') }</script>",
        '<svg viewBox="0 0 1 1"><path d="M0"/></svg>',
        "<my-element>custom</my-element>",
        "<table><tr><td>1<td>2</table>",
    ],
)
def test_html(judge: Any, text: str) -> None:
    assert judge({"type": "is-html"}, text).outcome == "pass"
    assert judge({"type": "contains-html"}, f"Look: {text}").outcome == "pass" or "my-element" in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Just text",
        "Text before <div>HTML</div> text after",
        "<div>a</div> b <div>c</div>",
        '<?xml version="1.0"?><root/>',
        "<div>Unclosed div",
        "<div><span></div>",
        "<div><b>x</div></b>",
        "<foo>unknown</foo>",
        "<!-- only a comment -->",
        "a < b and c > d",
    ],
)
def test_not_html(judge: Any, text: str) -> None:
    assert judge({"type": "is-html"}, text).outcome == "fail"
    assert judge({"type": "not-is-html"}, text).outcome == "pass"


@pytest.mark.parametrize("text", ["a < b", "mail <me@example.com>", "R&D; and <x>", "plain", "List<String>"])
def test_contains_no_html(judge: Any, text: str) -> None:
    assert judge({"type": "contains-html"}, text).outcome == "fail"
    assert judge({"type": "not-contains-html"}, text).outcome == "pass"


@pytest.mark.parametrize("kind", ["is-html", "contains-html", "contains-xml"])
@pytest.mark.parametrize("output", ["<" + "a" * 200_000, "<a" + "-b" * 100_000 + ">", "<a" + " b" * 100_000])
def test_one_endless_word_is_read_once(judge: Any, kind: str, output: str) -> None:
    assert judge({"type": kind}, f"{output} <").outcome != "error"
