"""What an e-mail address looks like: one rule for people who are made one by one, imported, or invited."""

from __future__ import annotations

import re

LONGEST, LONGEST_LOCAL = 254, 64
# Words joined by single dots on both sides of the @.
_WORD = r'[^\s@.()<>\[\]",:;\\]+'
_ADDRESS = re.compile(rf"{_WORD}(?:\.{_WORD})*@{_WORD}(?:\.{_WORD})*")


def fault_of(address: str) -> str | None:
    """What is wrong with it, as a sentence, or None. Whether it exists only a mail would tell."""
    if not address:
        return "There is no e-mail address."
    if len(address) > LONGEST or address.find("@") > LONGEST_LOCAL:
        return f"An e-mail address has at most {LONGEST} characters, {LONGEST_LOCAL} before the @."
    if not address.isprintable() or not _ADDRESS.fullmatch(address):
        return f"{address[:100]!r} is no e-mail address."
    return None
