"""What may be said about an import besides the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autoforge.errors import BadInput

FIELDS = ("name", "title", "description", "tags", "status", "prompt", "system", "model", "message")
"""Fields that a column, or a dotted path into an object, can be mapped to."""
PLACEHOLDERS = ("none", "dollar", "braces")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """``mapping`` names the column (or dotted path) of a field, for files of unknown shape.

    ``placeholders`` converts another style of placeholders: ``dollar`` is ``${name:default}``, ``braces`` is
    ``{name}``; None leaves the choice to the recognised shape. ``separator`` (promptsource: ``|||``) divides a text
    into what is asked and what would be answered. ``folder`` is put in front of names.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    placeholders: str | None = None
    separator: str | None = None
    folder: str = ""

    def check(self) -> None:
        """Raises BadInput for fields and styles that do not exist."""
        for name in self.mapping:
            if name not in FIELDS:
                raise BadInput.at("?map", f"There is no field {name!r} to map; there are {', '.join(FIELDS)}.")
        if self.placeholders not in (None, *PLACEHOLDERS):
            raise BadInput.at("?placeholders", f"Placeholders are one of {', '.join(PLACEHOLDERS)}.")
