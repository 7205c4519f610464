"""A folder of Markdown files: front matter says what the prompt is, the body is its text.

The version that ``main`` is at stands in ``folder/name.md``, the other ones beside it in ``folder/name@3.md`` (no
name contains ``@``). A text prompt is the body, exactly: one line end is added when it is written and taken away when
it is read. A chat has a line ``<!-- user -->`` in front of each message; where a text itself has such a line, the
messages stand in the front matter instead. A file without front matter is a prompt as well: its path is its name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from autoforge.errors import BadInput
from autoforge.prompts.content import ROLES, PromptContent, plain_text, to_data
from autoforge.prompts.formats.records import (
    PromptRecord,
    RowError,
    VersionRecord,
    head_data,
    parse_record,
    version_data,
)
from autoforge.prompts.formats.yaml_text import yaml_text
from autoforge.reading import Source
from autoforge.reading.documents import parse_yaml
from autoforge.reading.text import read_text

MAX_FILE = 16 * 1024 * 1024
_FENCE = "---\n"
_MARK = re.compile(rf"^<!-- ({'|'.join(ROLES)}) -->\n", re.MULTILINE)
_UNSAFE = re.compile(r'[<>:"|?*\\%@\x00-\x1f\x7f]|^\.+|[. ]+$')
_VERSION = re.compile(r"@[0-9]+\Z")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?\Z", re.IGNORECASE)
_PROMPT_KEYS = ("name", "title", "description", "tags", "status", "branches", "labels")


def write_record(record: PromptRecord, folder: Path, taken: set[str]) -> None:
    """Writes the files of one prompt; ``taken`` holds the paths of this export, in lower case."""
    path = _free_path(record.name, taken)
    current = record.current
    for version in record.versions:
        is_current = version.number == current.number
        target = folder / (f"{path}.md" if is_current else f"{path}@{version.number}.md")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file_text(record, version, is_current=is_current).encode())


def file_text(record: PromptRecord, version: VersionRecord, *, is_current: bool) -> str:
    """The file of one version; only the current one says what the prompt is."""
    front: dict[str, Any] = {"name": record.name}
    if is_current:
        data = head_data(record)
        front = {key: data[key] for key in _PROMPT_KEYS if data[key] or key == "name"}
    front["version"] = version.number
    data = version_data(version)
    front |= {key: data[key] for key in ("parents", "message", "created_at") if data[key]}
    settings, body = _front_and_body(version.content)
    return f"{_FENCE}{yaml_text(front | settings)}{_FENCE}{body}\n"


def read_folder(folder: Path) -> Iterator[PromptRecord | RowError]:
    """All prompts below a folder, by path; symbolic links are not followed."""
    for group in _groups(folder):
        yield _read_group(folder, group)


def read_file(path: Path) -> PromptRecord | RowError:
    """One Markdown file as a prompt of one version."""
    return _read_group(path.parent, [path])


def _groups(folder: Path) -> Iterator[list[Path]]:
    """The files of each prompt, current one first."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.md")):
        if path.is_file() and not path.is_symlink():
            stem = path.relative_to(folder).with_suffix("").as_posix()
            found.setdefault(_VERSION.sub("", stem), []).append(path)
    for paths in found.values():
        yield sorted(paths, key=lambda path: (_VERSION.search(path.stem) is not None, path))


def _read_group(folder: Path, paths: list[Path]) -> PromptRecord | RowError:
    place = paths[0].relative_to(folder).as_posix()
    try:
        data: dict[str, Any] = {}
        versions: list[dict[str, Any]] = []
        for path in paths:
            place = path.relative_to(folder).as_posix()
            front, version = _read_version(Source.at(path, place), len(versions) + 1)
            data = data or front
            versions.append(version)
        data.setdefault("name", _VERSION.sub("", PurePosixPath(place).with_suffix("").as_posix()))
        if "branches" not in data:
            data["branches"] = {"main": versions[0]["number"]}
        return parse_record({**data, "versions": versions})
    except BadInput as error:
        return RowError.of(error, place=place)


def _read_version(source: Source, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the front matter says of the prompt, and the version as record data."""
    front, body = _split(read_text(source, limit=MAX_FILE), source)
    about = {key: front.pop(key) for key in _PROMPT_KEYS if key in front}
    version = {"number": front.pop("version", number)}
    version |= {key: front.pop(key) for key in ("parents", "message", "created_at") if key in front}
    if "messages" not in front:
        front["messages"] = _messages(body)
    return about, {**version, "content": front}


def _split(text: str, source: Source) -> tuple[dict[str, Any], str]:
    """Front matter and body."""
    text = text.removeprefix("\ufeff")
    opening = re.match(r"---[ \t]*\r?\n", text)
    closing = opening and re.compile(r"^---[ \t]*\r?$\n?", re.MULTILINE).search(text, opening.end())
    if not opening or not closing:
        return {}, text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")
    front = parse_yaml("\n" + text[opening.end() : closing.start()], source).value
    if front is None:
        front = {}
    if not isinstance(front, dict):
        raise source.bad("the front matter must be fields and values", 2)
    line_end = "\r\n" if opening[0].endswith("\r\n") else "\n"
    return front, text[closing.end() :].removesuffix(line_end)


def _front_and_body(content: PromptContent) -> tuple[dict[str, Any], str]:
    data = to_data(content)
    text = plain_text(content)
    if text is not None and not _MARK.match(f"{text}\n"):
        del data["messages"]
        return data, text
    messages = data["messages"]
    texts = [message["content"] for message in messages]
    simple = all(isinstance(text, str) and not _MARK.search(f"{text}\n") for text in texts)
    if not simple or any(message.keys() != {"role", "content"} for message in messages):
        return data, ""
    del data["messages"]
    return data, "\n".join(f"<!-- {message['role']} -->\n{message['content']}" for message in messages)


def _messages(body: str) -> list[dict[str, str]]:
    """The messages of a chat; a body that does not begin with a mark is a text prompt."""
    if not _MARK.match(f"{body}\n"):
        return [{"role": "user", "content": body}]
    _, *parts = _MARK.split(f"{body}\n")
    return [
        {"role": role, "content": text.removesuffix("\n")} for role, text in zip(parts[::2], parts[1::2], strict=True)
    ]


def _free_path(name: str, taken: set[str]) -> str:
    """A path that every file system can hold; the name itself stands in the front matter."""
    path = "/".join(_safe(segment) for segment in name.split("/"))
    free, count = path, 1
    while free.casefold() in taken:
        count += 1
        free = f"{path}~{count}"
    taken.add(free.casefold())
    return free


def _safe(segment: str) -> str:
    safe = _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), segment)
    if _RESERVED.match(safe):
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if len(safe.encode()) <= 180:
        return safe
    digest = hashlib.sha256(segment.encode()).hexdigest()[:10]
    return safe.encode()[:160].decode("utf-8", "ignore") + "~" + digest
