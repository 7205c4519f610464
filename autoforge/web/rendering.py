"""Pages: Jinja2 templates filled in, and nothing else.

A route gathers its data, makes a :class:`Page` (what every page needs to know of its request) and calls
:func:`render`. Templates say in a comment at their top which variables they expect; a variable that is missing is an
error, never an empty space. Texts go through gettext; the translations are the null ones until there is a second
language. All assets are files of this package, addressed by their content, so that they may be cached for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from hashlib import blake2s
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from autoforge import __version__
from autoforge.web import formats
from autoforge.web.lanes import lay_out
from autoforge.web.links import Links
from autoforge.web.saying import SpeakingEnvironment

_HERE = Path(__file__).parent
STATIC = _HERE / "static"

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""What the pages are written for: no inline script or style anywhere, nothing from another host."""


PURE_MACROS = {
    "components/icons.html": ("icon",),
    "components/badges.html": ("badge", "outcome", "status", "delta", "chip"),
    "components/charts.html": ("bar", "score"),
    "evaluations/row.html": ("row",),
    "navigation.html": ("side",),
}
"""Macros whose output depends on their (plain) arguments alone. A table calls them on every row, mostly with the same
few values, so their output is remembered: this halves the time of a list."""
_INVALID = ' aria-invalid="true"'
"""How a field with an error is marked, in all forms; a text of somebody's cannot be taken for it, it is escaped."""
_REMEMBERED = {"side": 256, "row": 512}
"""How many outputs, for those that are long."""


@dataclass(frozen=True, slots=True)
class Flash:
    """One message about what just happened. ``kind`` is ``done``, ``info`` or ``failed``.

    ``undo`` is the address that takes it back when ``undo_fields`` are posted to it, "" when nothing does.
    """

    text: str
    kind: str = "done"
    undo: str = ""
    undo_fields: Mapping[str, str] = field(default_factory=dict)


def _nothing(_permission: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Page:
    """What every page knows of its request.

    ``query`` are the decoded parameters of the address, in order. ``notices`` stay visible on every page (an outdated
    SQLite, for example); ``flashes`` are shown once. ``may`` says whether the one who asks has a permission such as
    ``audit:read``. A page that is not told who asks is nobody's: no name, no role, and nothing that they may.

    Forms carry no secret: that they were sent from our pages, the browser's own headers say
    (:func:`autoforge.web.arrivals.check`).
    """

    path: str = "/"
    query: Sequence[tuple[str, str]] = ()
    links: Links = field(default_factory=Links)
    user: str = ""
    flashes: Sequence[Flash] = ()
    notices: Sequence[str] = ()
    place: str = ""
    role: str = ""
    may: Callable[[str], bool] = _nothing

    def param(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), default)

    def here(self, **changes: str | int | None) -> str:
        """This address with some parameters changed; ``None`` removes one. Cursors do not survive a change."""
        dropped = {"after", "before", *changes}
        kept = [(key, value) for key, value in self.query if key not in dropped and value]
        kept += [(key, str(value)) for key, value in changes.items() if value is not None]
        return f"{self.path}?{urlencode(kept)}" if kept else self.path

    def sort(self, key: str, first: str = "") -> str:
        """This address sorted by ``key``, upwards (``first="-"``: downwards); turned round when it already is."""
        wanted, other = (f"-{key}", key) if first else (key, f"-{key}")
        return self.here(sort=other if self.param("sort") == wanted else wanted)


@cache
def static(path: str) -> str:
    """The address of an asset, with a hash of its content: it may be cached for ever."""
    digest = blake2s((STATIC / path).read_bytes(), digest_size=6).hexdigest()
    return f"/static/{path}?v={digest}"


@cache
def environment() -> Environment:
    """The one Jinja2 environment: plain, escaping, compiled once."""
    made = SpeakingEnvironment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        auto_reload=False,
        cache_size=-1,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do", "jinja2.ext.loopcontrols"],
    )
    made.speak()
    made.filters.update(formats.FILTERS)
    made.filters["lanes"] = lay_out
    made.globals.update(static=static, product_version=__version__)
    made.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": False}
    _remember_pure_macros(made)
    return made


def _remember_pure_macros(made: Environment) -> None:
    """Replaces them in the modules that templates import them from; icons first, the others use them."""
    for name, macros in PURE_MACROS.items():
        module = made.get_template(name).module
        for macro in macros:
            setattr(module, macro, lru_cache(_REMEMBERED.get(macro, 2048))(getattr(module, macro)))


def render(template: str, page: Page, context: Mapping[str, Any] | None = None, **more: Any) -> str:
    """The HTML of one page. ``context`` and ``more`` are the variables that the template's comment names."""
    told = {"page": page, **(context or {}), **more}
    text = environment().get_template(template).render(told)
    if told.get("errors"):  # who types goes on where something is wrong
        text = text.replace(_INVALID, f"{_INVALID} autofocus", 1)
    return text
