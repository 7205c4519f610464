"""Every finding that the doctor can make is explained in docs/doctor.md, and nothing else is."""

from __future__ import annotations

import re

import pytest

from autoforge.operations.doctor.finding import IDS, Finding, Severity
from tests.servers import ROOT


def test_every_finding_is_documented() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", page, re.MULTILINE)) == IDS


def test_a_finding_without_documentation_cannot_be_made() -> None:
    with pytest.raises(ValueError, match=r"docs/doctor\.md"):
        Finding("made-up", Severity.LOW, "")
