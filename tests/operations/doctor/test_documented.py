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


def test_every_id_is_found_by_some_check() -> None:
    folder = ROOT / "autoforge" / "operations" / "doctor"
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py") if path.name != "finding.py")
    named = set(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"', source))
    assert {one for one in IDS - named if not one.startswith("postgresql-")} == set()
