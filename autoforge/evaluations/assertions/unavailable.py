"""Types of promptfoo that recorded outputs cannot answer: they are read, and score as an error that says why.

Never silently passed, never failed: nothing is known of the model. A later issue gives the model-graded ones a
judge.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from autoforge.errors import BadInput
from autoforge.evaluations.assertions.kinds import Kind, Limit, Settings, Subject, Verdict

_WHY = {
    "needs a model as judge and is not available for recorded outputs": (
        "agent-rubric answer-relevance classifier context-faithfulness context-recall context-relevance "
        "conversation-relevance factuality g-eval guardrails llm-rubric max-score model-graded-closedqa "
        "model-graded-factuality moderation pi search-rubric select-best similar similar:cosine similar:dot "
        "similar:euclidean trajectory:goal-success"
    ),
    "needs JavaScript, which is not available (use python, or a transform)": "javascript",
    "needs Ruby, which is not available (use python, or a transform)": "ruby",
    "needs a network service and is not available for recorded outputs": "webhook",
    "needs log probabilities, which are not part of recorded outputs": "perplexity perplexity-score",
    "needs a person to judge": "human",
    "needs a trace, which is not part of recorded outputs": (
        "skill-used trace-error-spans trace-span-count trace-span-duration trajectory:step-count "
        "trajectory:tool-args-match trajectory:tool-sequence trajectory:tool-used"
    ),
}


def _anything(value: Any, _settings: Settings) -> Any:
    return value


def _cannot(reason: str, _value: Any, _subject: Subject, _threshold: float | None) -> Verdict:
    raise BadInput(reason)


KINDS = tuple(
    Kind(name, partial(_cannot, f"{name} {why}"), _anything, Limit.ANY, reads_output=False, settings=None)
    for why, names in _WHY.items()
    for name in names.split()
)
UNAVAILABLE = frozenset(kind.name for kind in KINDS)
