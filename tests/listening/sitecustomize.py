"""Loaded by each Python that a test run starts: see ``tests/issued.py``."""

from __future__ import annotations

from tests import issued

issued.listen()
