"""What the tests of both engines share."""

from __future__ import annotations

from typing import Any

import pytest

from autoforge.errors import BadInput
from autoforge.llm.rendering import render_text


def errors_of(template: str, variables: dict[str, Any] | None = None, engine: str = "auto") -> list[tuple[str, str]]:
    with pytest.raises(BadInput) as caught:
        render_text(template, variables or {}, engine=engine)
    return [(error.pointer, error.message) for error in caught.value.errors]
