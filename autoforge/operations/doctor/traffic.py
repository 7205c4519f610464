"""What the running server has seen: slow statements, N+1, pools, cache. Read from its snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Traffic:
    """The snapshot of ``GET /api/v1/operations/snapshot``."""

    data: Mapping[str, Any] = field(default_factory=dict)
