"""Which known word somebody meant who wrote another: slips are answered with it instead of being ignored."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near_word(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one, None when none is; case, ``_`` and ``-`` do not count."""
    by_folded = {_folded(name): name for name in known}
    close = difflib.get_close_matches(_folded(word), by_folded, n=1, cutoff=0.75)
    return by_folded[close[0]] if close else None


def _folded(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")
