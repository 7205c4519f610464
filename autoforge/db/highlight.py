"""Where the words of a search stand in a text: what a list of found rows marks for people.

The search finds documents by tokens (:mod:`autoforge.db.search`); here the same tokens are looked for in the text as
it is written, so that exactly what was found is marked: whole words, the beginning of the last word, and single
characters and pairs of scripts that write no spaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from autoforge.db.search import LONGEST_TOKEN, RUN, fold, query_terms

Spans = list[tuple[str, bool]]
_BEFORE, _AFTER = 40, 110


def marked(passage: str, words: str) -> Spans:
    """The passage in pieces, each with whether it is a hit. Without a hit it is one piece, and "" is none."""
    spans: Spans = []
    end = 0
    for start, stop in _joined(_hits(passage, query_terms(words))):
        spans += [(passage[end:start], False), (passage[start:stop], True)]
        end = stop
    spans.append((passage[end:], False))
    return [(text, hit) for text, hit in spans if text]


def snippet(text: str, words: str) -> Spans | None:
    """One line around the first hit, marked; None when there is no hit."""
    first = next(iter(_hits(text, query_terms(words))), None)
    if first is None:
        return None
    start, stop = max(0, first[0] - _BEFORE), min(len(text), first[1] + _AFTER)
    start = _at_word(text, start, first[0])
    space = text.rfind(" ", first[1], stop)
    if space > 0 and stop < len(text):
        stop = space
    line = " ".join(text[start:stop].split())
    return marked(f"{'… ' if start else ''}{line}{' …' if stop < len(text) else ''}", words)


def _at_word(text: str, start: int, hit: int) -> int:
    """The beginning of a word behind ``start``, when there is one before the hit."""
    if start == 0:
        return 0
    space = max(text.find(" ", start, hit), text.find("\n", start, hit))
    return space + 1 if 0 <= space < hit else start


def _hits(text: str, terms: Iterable[tuple[str, bool]]) -> Iterator[tuple[int, int]]:
    wanted = list(terms)
    for run in RUN.finditer(text):
        folded = fold(run[0])
        if run[1]:
            yield from _inside(run.start(), run[0], folded, [token for token, _ in wanted])
            continue
        length = max((_length(folded, token, prefix) for token, prefix in wanted), default=0)
        if length:
            yield run.start(), run.start() + (length if len(folded) == len(run[0]) else len(run[0]))


def _length(word: str, token: str, prefix: bool) -> int:
    """How much of the word is a hit. Of a longer word only the beginning is a token."""
    known = word[:LONGEST_TOKEN]
    if known == token:
        return len(word)
    return len(token) if prefix and known.startswith(token) else 0


def _inside(start: int, run: str, folded: str, tokens: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Hits in a run of a script without spaces; where folding changed its length, the run as a whole."""
    found = sorted((at, at + len(token)) for token in tokens for at in _all(folded, token))
    if found and len(folded) != len(run):
        yield start, start + len(run)
        return
    yield from ((start + first, start + last) for first, last in found)


def _all(text: str, token: str) -> Iterator[int]:
    at = text.find(token)
    while at >= 0:
        yield at
        at = text.find(token, at + 1)


def _joined(hits: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Neighbouring and overlapping hits as one; they come in order."""
    current: tuple[int, int] | None = None
    for start, stop in hits:
        if current is not None and start <= current[1]:
            current = current[0], max(current[1], stop)
            continue
        if current is not None:
            yield current
        current = start, stop
    if current is not None:
        yield current
