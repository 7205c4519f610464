"""How values look to a person: numbers, money, shares, durations, times.

Two rules. A missing value is an en dash, never a zero. And a figure never says more than is true: 0.9996 is not
shown as 100 %, and a cost that is not zero is never shown as $0.00.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from autoforge.db import clock

MISSING = "–"
_NANO = 1_000_000_000
_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (86_400 * 45, 86_400, "d"))
_VARIABLE = re.compile(r"\{\{[^{}\n]{1,200}\}\}|\{%[^{}\n]{1,400}%\}")


def number(value: int | float | None) -> str:
    """``12345`` as ``12,345``; floats keep up to two decimals."""
    if value is None:
        return MISSING
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}".rstrip("0").rstrip(".")


def compact(value: int | None) -> str:
    """Token counts and the like: ``950``, ``12.3k``, ``4.56M``."""
    if value is None:
        return MISSING
    for limit, suffix in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{suffix}" if abs(value) < limit * 999.5 else f"{value / limit:,.0f}{suffix}"
    return str(value)


def percent(share: float | None, digits: int = 1) -> str:
    """A share of 0..1 as ``56.3%``; only exactly 0 and 1 are shown as 0% and 100%."""
    if share is None:
        return MISSING
    unit = 10.0**-digits
    shown = round(share * 100, digits)
    if shown >= 100 and share < 1:
        return f"{100 - unit:.{digits}f}%"
    if shown <= 0 < share:
        return f"<{unit:.{digits}f}%"
    return f"{shown:.0f}%" if share in (0, 1) else f"{shown:.{digits}f}%"


def points(difference: float | None, digits: int = 1) -> str:
    """A difference of two shares in percentage points, always signed: ``+17.4``."""
    if difference is None:
        return MISSING
    text = f"{difference * 100:+.{digits}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{digits}f}"


def money(nano: int | None) -> str:
    """Nano-dollars as dollars; small amounts keep two significant digits: ``$0.00031``."""
    if nano is None:
        return MISSING
    dollars = abs(nano) / _NANO
    sign = "−" if nano < 0 else ""
    if dollars >= 0.995 or nano == 0:
        return f"{sign}${dollars:,.2f}"
    digits = max(2, 1 - _exponent(dollars))
    return f"{sign}${dollars:.{digits}f}"


def _exponent(value: float) -> int:
    """The power of ten of the first digit that is not zero: -4 for 0.00031."""
    return int(f"{value:e}".rpartition("e")[2])


def duration(milliseconds: float | None) -> str:
    """``840 ms``, ``1.24 s``, ``2 min 05 s``, ``1 h 12 min``."""
    if milliseconds is None:
        return MISSING
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms" if milliseconds >= 9.95 else f"{milliseconds:.2g} ms"
    seconds = milliseconds / 1000
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def p_value(value: float | None) -> str:
    """``0.043``, ``< 0.001``."""
    if value is None:
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def ago(moment: datetime | None) -> Markup:
    """A ``<time>`` element: how long ago, with the exact UTC time as its title and for machines."""
    if moment is None:
        return Markup(MISSING)
    exact = moment.astimezone(UTC)
    seconds = (clock.now() - exact).total_seconds()
    machine = exact.isoformat(timespec="seconds")
    title = f"{machine[:10]} {machine[11:19]} UTC"
    # Nothing here needs escaping, and Markup.format would take a third of the time of a list.
    return Markup(f'<time datetime="{machine}" title="{title}">{_distance(seconds, exact)}</time>')


def exact(moment: datetime | None) -> Markup:
    """A ``<time>`` element where the second matters: the UTC time, with how long ago as its title."""
    if moment is None:
        return Markup(MISSING)
    utc = moment.astimezone(UTC)
    machine = utc.isoformat(timespec="seconds")
    distance = _distance((clock.now() - utc).total_seconds(), utc)
    return Markup(f'<time datetime="{machine}" title="{distance}">{machine[:10]} {machine[11:19]}</time>')


def _distance(seconds: float, moment: datetime) -> str:
    size = abs(seconds)
    if size < 45:
        return "just now"
    for limit, unit, name in _STEPS:
        if size < limit:
            text = f"{max(1, round(size / unit))} {name}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return moment.strftime("%Y-%m-%d")


def shorten(text: str | None, length: int = 80) -> str:
    """At most ``length`` characters on one line; what is cut ends in an ellipsis."""
    line = " ".join((text or "")[: length * 4].split())
    whole = len(line) <= length and len(text or "") <= length * 4
    return line if whole else line[: length - 1].rstrip() + "…"


def pretty(value: Any) -> str:
    """Any JSON value for reading: text as it is, the rest indented."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def highlight_variables(text: str | None) -> Markup:
    """Escaped prompt text in which ``{{variables}}`` and ``{% tags %}`` stand out."""
    source = text or ""
    parts: list[Markup] = []
    end = 0
    for found in _VARIABLE.finditer(source):
        kind = "var-name" if found[0].startswith("{{") else "var-tag"
        parts += [escape(source[end : found.start()]), Markup('<var class="{}">{}</var>').format(kind, found[0])]
        end = found.end()
    return Markup("").join([*parts, escape(source[end:])])


def polyline(values: Iterable[float | None], width: int = 100, height: int = 24) -> str:
    """The ``points`` of a small SVG line over ``values``, oldest first, scaled to fill the box."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    span = high - low
    step = width / max(1, len(known) - 1)
    inset = height - 4
    shares = [(value - low) / span if span else 0.5 for value in known]
    return " ".join(f"{i * step:.1f},{2 + inset - share * inset:.1f}" for i, share in enumerate(shares))


_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)  # fmt: skip


def browser(agent: str) -> str:
    """What people call the browser that introduces itself so: ``Firefox on Linux``."""
    name = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return f"{name} on {system}" if name and system else name or shorten(agent, 40) or "Unknown"


FILTERS = {
    "browser": browser,
    "number": number,
    "compact": compact,
    "percent": percent,
    "points": points,
    "money": money,
    "duration": duration,
    "p_value": p_value,
    "ago": ago,
    "exact": exact,
    "shorten": shorten,
    "pretty": pretty,
    "highlight_variables": highlight_variables,
    "polyline": polyline,
}
