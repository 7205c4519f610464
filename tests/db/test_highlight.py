"""What is marked is what was found."""

from __future__ import annotations

import pytest

from autoforge.db.highlight import marked

LONG = "incomprehensibility" * 5


@pytest.mark.parametrize(
    ("text", "words", "hits"),
    [
        ("Sort the mail", "mail", ["mail"]),
        ("Sort the mailbox", "mail", ["mail"]),
        ("Sort the mailbox", "mail now", []),
        (f"a {LONG} b", LONG, [LONG]),
        (f"a {LONG} b", f"{LONG} b", [LONG, "b"]),
        (f"a {LONG} b", LONG[:80], [LONG]),  # the index tells them apart no better
        (f"a {LONG} b", LONG[:30], [LONG[:30]]),
        (f"a {LONG} b", f"{LONG[:30]} b", ["b"]),
        ("Straße", "STRASSE", ["Straße"]),
    ],
)
def test_words_of_any_length_are_marked(text: str, words: str, hits: list[str]) -> None:
    spans = marked(text, words)
    assert "".join(piece for piece, _ in spans) == text
    assert [piece for piece, hit in spans if hit] == hits
