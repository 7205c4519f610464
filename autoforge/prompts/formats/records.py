"""A prompt as files hold it, and as plain JSON values: the shape that all our own formats share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from autoforge.errors import BadInput, FieldError
from autoforge.prompts.checking import Checker
from autoforge.prompts.content import PromptContent, parse_content, title_of, to_data
from autoforge.prompts.names import parse_head_name, parse_label, parse_name
from autoforge.web.text import MAX_LINE, MAX_PROSE

STATUSES = ("draft", "active", "archived")
MAX_TITLE = MAX_TAG = MAX_LINE
MAX_DESCRIPTION = MAX_MESSAGE = MAX_PROSE
MAX_TAGS = 50
MAX_VERSIONS = 100_000
MAX_HEADS = 10_000
"""Branches, and labels. The API, which makes them one by one, has no bound; nobody gets here by hand."""
MAX_GAPS = 1_000_000
"""How far version numbers may be ahead of the number of versions. What is saved later can then go out and come in
again, and never gets near to the nine digits that a reference may have."""
_KEYS = ("name", "title", "description", "tags", "status", "branches", "labels", "versions")
_VERSION_KEYS = ("number", "parents", "message", "created_at", "content")


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One version: ``number`` within its prompt, the numbers it came from, when it was made (UTC, if known)."""

    number: int
    content: PromptContent
    parents: tuple[int, ...] = ()
    message: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PromptRecord:
    """A whole prompt. ``branches`` and ``labels`` map names to version numbers; ``versions`` ascend by number."""

    name: str
    versions: tuple[VersionRecord, ...]
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    status: str = "draft"
    branches: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)

    @property
    def current(self) -> VersionRecord:
        """The version that the branch ``main`` is at; without one, the newest."""
        newest = self.versions[-1]
        number = self.branches.get("main", newest.number)
        if number == newest.number:
            return newest
        return next((version for version in self.versions if version.number == number), newest)


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that is no prompt: where it stands (line, or position in a document, or file), and what is wrong."""

    line: int | None
    message: str
    errors: tuple[FieldError, ...] = ()
    place: str = ""

    @classmethod
    def of(cls, error: BadInput, line: int | None = None, place: str = "") -> RowError:
        return cls(line, error.detail, error.errors, place or (f"line {line}" if line else ""))


def single(name: str, content: PromptContent, *, title: str = "", **more: Any) -> PromptRecord:
    """A prompt of one version, as most imports are; ``more`` are its other fields and the version's message.

    Raises BadInput for a name that is none and for texts that are too long, except for a title, which is cut.
    """
    check = Checker()
    message = check.text(more.pop("message", ""), "/message", most=MAX_MESSAGE)
    check.text(more.get("description", ""), "/description", most=MAX_DESCRIPTION)
    _tags(check, more.get("tags", ()))
    check.finish()
    version = VersionRecord(1, content, message=message)
    title = _line(title) or title_of(content)
    return PromptRecord(parse_name(name), (version,), title, branches={"main": 1}, **more)


def record_data(record: PromptRecord) -> dict[str, Any]:
    """The record as JSON values."""
    return {**head_data(record), "versions": [version_data(version) for version in record.versions]}


def head_data(record: PromptRecord) -> dict[str, Any]:
    """The record without its versions."""
    return {
        "name": record.name,
        "title": record.title,
        "description": record.description,
        "tags": list(record.tags),
        "status": record.status,
        "branches": dict(record.branches),
        "labels": dict(record.labels),
    }


def version_data(version: VersionRecord) -> dict[str, Any]:
    return {
        "number": version.number,
        "parents": list(version.parents),
        "message": version.message,
        "created_at": time_text(version.created_at),
        "content": to_data(version.content),
    }


def parse_record(data: Any) -> PromptRecord:
    """The record out of JSON values. Raises BadInput with all faults and their pointers."""
    check = Checker()
    data = check.object(data, "", _KEYS)
    items = check.items(data.get("versions"), "/versions", MAX_VERSIONS)
    versions = [_version(check, item, at, MAX_GAPS + len(items)) for item, at in items]
    if not versions:
        check.fault("/versions", "A prompt needs at least one version.")
    record = PromptRecord(
        name=_checked(check, data, "name", parse_name),
        title=check.text(data.get("title"), "/title", default="", most=MAX_TITLE),
        description=check.text(data.get("description"), "/description", default="", most=MAX_DESCRIPTION),
        tags=_tags(check, data.get("tags")),
        status=parse_status(check, data.get("status")),
        branches=_heads(check, data.get("branches"), "/branches", parse_head_name),
        labels=_heads(check, data.get("labels"), "/labels", parse_label),
        versions=tuple(sorted(versions, key=lambda version: version.number)),
    )
    _check_numbers(check, record)
    check.finish()
    return record


def _tags(check: Checker, data: Any) -> tuple[str, ...]:
    return tuple(check.text(tag, at, most=MAX_TAG) for tag, at in check.items(data, "/tags", MAX_TAGS))


def parse_status(check: Checker, data: Any) -> str:
    if data in (None, ""):
        return "draft"
    if data not in STATUSES:
        check.fault("/status", f"A status is one of {', '.join(STATUSES)}, not {str(data)[:50]!r}.")
    return str(data)


def time_text(time: datetime | None) -> str | None:
    """RFC 3339 in UTC with microseconds."""
    return None if time is None else time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(check: Checker, data: Any, at: str) -> datetime | None:
    """A time; one without an offset is taken as UTC."""
    if data in (None, ""):
        return None
    try:
        time = datetime.fromisoformat(data)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        check.fault(at, f"{str(data)[:50]!r} is no time such as 2026-01-31T12:00:00Z.")
        return None


def _version(check: Checker, data: Any, at: str, highest: int) -> VersionRecord:
    data = check.object(data, at, _VERSION_KEYS)
    content = None
    try:
        content = parse_content(data.get("content"), at=f"{at}/content")
    except BadInput as error:
        check.faults.extend(error.errors)
    return VersionRecord(
        number=_number(check, data.get("number"), f"{at}/number", highest),
        content=content or PromptContent(()),
        parents=tuple(_number(check, n, p, highest) for n, p in check.items(data.get("parents"), f"{at}/parents", 100)),
        message=check.text(data.get("message"), f"{at}/message", default="", most=MAX_MESSAGE),
        created_at=parse_time(check, data.get("created_at"), f"{at}/created_at"),
    )


def _number(check: Checker, data: Any, at: str, highest: int) -> int:
    if isinstance(data, int) and not isinstance(data, bool) and 0 < data <= highest:
        return data
    check.fault(at, f"A version number is here an integer from 1 to {highest:,}, not {str(data)[:50]!r}.")
    return 1


def _heads(check: Checker, data: Any, at: str, parse: Callable[..., str]) -> dict[str, int]:
    heads: dict[str, int] = {}
    if isinstance(data, dict) and len(data) > MAX_HEADS:
        check.fault(at, f"There are {len(data):,} of these; {MAX_HEADS:,} is the most.")
        return heads
    for name, number in check.json_object({} if data is None else data, at).items():
        try:
            parse(name, at=f"{at}/{name}")
        except BadInput as error:
            check.faults.extend(error.errors)
        heads[name] = _number(check, number, f"{at}/{name}", MAX_GAPS + MAX_VERSIONS)
    return heads


def _checked(check: Checker, data: dict[str, Any], key: str, parse: Any) -> str:
    text = check.text(data.get(key), f"/{key}")
    try:
        return str(parse(text))
    except BadInput as error:
        check.faults.extend(error.errors)
        return ""


def _check_numbers(check: Checker, record: PromptRecord) -> None:
    numbers = [version.number for version in record.versions]
    if len(set(numbers)) < len(numbers):
        check.fault("/versions", "Two versions have the same number.")
    known = set(numbers)
    for at, heads in (("/branches", record.branches), ("/labels", record.labels)):
        for name, number in heads.items():
            if number not in known:
                check.fault(f"{at}/{name}", f"There is no version {number}.")
    for index, version in enumerate(record.versions):
        if any(parent not in known or parent >= version.number for parent in version.parents):
            check.fault(f"/versions/{index}/parents", "A parent is an earlier version that is also here.")


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_TITLE else text[: MAX_TITLE - 1] + "…"
