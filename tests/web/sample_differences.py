"""What the pages of differences and of merging are given."""

from __future__ import annotations

from tests.web.sample_prompts import HISTORY, PROMPT, Context


def _line(number: int, text: str) -> Context:
    return {
        "kind": "same",
        "left_number": number,
        "right_number": number,
        "left": [(text, False)],
        "right": [(text, False)],
    }


DIFF_ROWS = [
    {
        "kind": "folded",
        "rows": [
            _line(i, text)
            for i, text in enumerate(
                ("You sort incoming support mail.", "", "Answer with one JSON object and nothing else:"), 1
            )
        ],
    },
    _line(4, '  "team": one of {{teams}}'),
    {
        "kind": "changed",
        "left_number": 5,
        "right_number": 5,
        "left": [('  "urgency": 1 to ', False), ("5", True)],
        "right": [
            ('  "urgency": 1 ', False),
            ("(can wait) ", True),
            ("to ", False),
            ("4 (somebody is losing money right now)", True),
        ],
    },
    _line(6, '  "reason": one sentence that quotes the mail'),
    {"kind": "removed", "left_number": 7, "right_number": None, "left": [("Be polite and brief.", True)], "right": []},
    _line(8, ""),
    {
        "kind": "added",
        "left_number": None,
        "right_number": 8,
        "left": [],
        "right": [("A customer who only asks about an invoice is never urgent.", True)],
    },
]
DIFF = {
    "prompt": PROMPT,
    "versions": [{"number": v["number"], "message": v["message"]} for v in HISTORY],
    "a": HISTORY[1],
    "b": HISTORY[0],
    "parts": [{"title": "System", "rows": DIFF_ROWS}],
    "words": {"added": 19, "removed": 5},
}
CONFLICT = {
    "key": "message-0",
    "title": "System message, lines 4 to 6",
    "ours": '"urgency": 1 to 4\n"reason": one sentence',
    "theirs": '"urgency": low, normal, high\n"reason": one sentence',
    "base": '"urgency": 1 to 5\n"reason": one sentence',
    "choice": "",
    "text": '"urgency": 1 to 4\n"reason": one sentence',
}
MERGE = {
    "prompt": PROMPT,
    "ours": {"branch": "main", "number": 7},
    "theirs": {"branch": "shorter-answers", "number": 5},
    "base": {"branch": "", "number": 3},
    "merged": [{"title": "User", "rows": DIFF_ROWS[-2:]}],
    "conflicts": [CONFLICT],
    "message": "Merge shorter-answers",
    "errors": {},
}
