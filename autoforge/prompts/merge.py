"""Bringing two contents that come from a common one together, with conflicts as data.

Texts are merged by lines as diff3 does (Khanna, Kunal and Pierce, "A formal investigation of diff3", 2007): lines
that both sides kept divide the text into stretches, and a stretch that only one side changed takes that side.
Everything else is merged key by key. What both sides changed in the same way is no conflict. The result does not
depend on which side is called ours, apart from the names in the conflicts.

A conflict is decided by its key: ``ours``, ``theirs``, ``base``, or a value of one's own. Merging again with the
choices decides them, so nothing has to be remembered between showing conflicts and saving the result.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from autoforge.errors import BadInput, FieldError, escaped
from autoforge.prompts.alignment import Block, matching_blocks
from autoforge.prompts.content import Message, PromptContent, parse_content, to_data
from autoforge.prompts.diff import MISSING, keyed, pair_messages, same, split_lines


class _Ordered(Hashable, Protocol):
    def __lt__(self, other: Any, /) -> bool: ...


Id = TypeVar("Id", bound=_Ordered)


@dataclass(frozen=True, slots=True)
class Conflict:
    """A place that both sides changed, differently. MISSING stands for "not there".

    ``pointer`` is a JSON Pointer into the base content; ``key`` is the pointer, and ``pointer#2`` and so on for
    further stretches of the same text.
    """

    key: str
    pointer: str
    base: Any
    ours: Any
    theirs: Any


@dataclass(frozen=True, slots=True)
class MergeResult:
    """The merged content, or None and the conflicts that are still undecided."""

    content: PromptContent | None
    conflicts: tuple[Conflict, ...]
    sides: tuple[PromptContent, PromptContent, PromptContent]
    choices: Mapping[str, Any]


def merge(
    base: PromptContent, ours: PromptContent, theirs: PromptContent, choices: Mapping[str, Any] | None = None
) -> MergeResult:
    """Three-way merge; ``choices`` decides conflicts by key. Raises BadInput for a choice that makes no content."""
    choices = choices or {}
    merging = _Merging(choices)
    data = merging.contents(base, ours, theirs)
    conflicts = tuple(merging.conflicts)
    content = None if conflicts else parse_content(data)
    return MergeResult(content, conflicts, (base, ours, theirs), choices)


def resolve(result: MergeResult, choices: Mapping[str, Any]) -> MergeResult:
    """The merge with these choices in addition: ``ours``, ``theirs``, ``base``, a value, or ``{"value": anything}``.

    Raises BadInput for keys that are no conflict.
    """
    known = {conflict.key for conflict in result.conflicts}
    unknown = [key for key in choices if key not in known]
    if unknown:
        errors = [FieldError(f"/choices/{escaped(key)}", f"There is no conflict {key!r}.") for key in unknown]
        raise BadInput(errors[0].message, errors=errors)
    return merge(*result.sides, choices={**result.choices, **choices})


def lowest_common_ancestors(parents: Mapping[Id, Sequence[Id]], a: Id, b: Id) -> list[Id]:
    """The common ancestors (a version counts as its own) that are no ancestors of another one; newest id first.

    There are several after criss-cross merges; ids grow with time (UUIDv7), so the first is a deterministic choice.
    """
    common = _ancestors(parents, a) & _ancestors(parents, b)
    surpassed = {parent for version in common for parent in parents.get(version, ())}
    return sorted(common - surpassed, reverse=True)


def _ancestors(parents: Mapping[Id, Sequence[Id]], version: Id) -> set[Id]:
    found = {version}
    waiting = [version]
    while waiting:
        fresh = [parent for parent in parents.get(waiting.pop(), ()) if parent not in found]
        found.update(fresh)
        waiting.extend(fresh)
    return found


@dataclass(frozen=True, slots=True)
class _Three:
    """One place, as it is in the three contents."""

    base: Any
    ours: Any
    theirs: Any

    def settled(self) -> tuple[bool, Any]:
        """Whether at most one side changed it, or both alike; and then to what."""
        if same(self.ours, self.theirs) or same(self.theirs, self.base):
            return True, self.ours
        return same(self.ours, self.base), self.theirs

    def at(self, key: str) -> _Three:
        sides = (_get(side, key) for side in (self.base, self.ours, self.theirs))
        return _Three(*sides)

    def are(self, kind: type) -> bool:
        return all(isinstance(side, kind) for side in (self.base, self.ours, self.theirs))


def _get(side: Any, key: str) -> Any:
    return side.get(key, MISSING) if isinstance(side, Mapping) else MISSING


class _Merging:
    """One merge: where it writes down conflicts, and what was chosen for them."""

    def __init__(self, choices: Mapping[str, Any]) -> None:
        self._choices = choices
        self._used: dict[str, int] = {}
        self.conflicts: list[Conflict] = []

    def contents(self, base: PromptContent, ours: PromptContent, theirs: PromptContent) -> dict[str, Any]:
        sides = _Three(keyed(base), keyed(ours), keyed(theirs))
        data = {
            "messages": self._messages(base, ours, theirs),
            "engine": self.value("/engine", sides.at("engine")),
            "parameters": self.value("/parameters", sides.at("parameters")),
            "response_schema": self.value("/response_schema", sides.at("response_schema")),
        }
        variables = self._by_name("/variables", sides.at("variables"))
        tools = self._by_name("/tools", sides.at("tools"))
        data["variables"] = [{"name": name, **value} for name, value in variables.items()]
        data["tools"] = list(tools.values())
        return {key: value for key, value in data.items() if value is not MISSING}

    def value(self, pointer: str, sides: _Three) -> Any:
        """A JSON value: objects key by key, everything else as a whole."""
        is_settled, value = sides.settled()
        if is_settled:
            return value
        objects = [side for side in (sides.base, sides.ours, sides.theirs) if side is not MISSING]
        if sides.ours is MISSING or sides.theirs is MISSING or not all(isinstance(x, Mapping) for x in objects):
            return self.decide(pointer, sides)
        keys = dict.fromkeys(key for side in objects for key in side)
        merged = {key: self.value(f"{pointer}/{escaped(key)}", sides.at(key)) for key in sorted(keys)}
        return {key: value for key, value in merged.items() if value is not MISSING}

    def text(self, pointer: str, base: str, ours: str, theirs: str) -> str:
        """diff3 over lines."""
        stretches = _stretches(split_lines(base), split_lines(ours), split_lines(theirs))
        pieces = []
        for stretch in stretches:
            is_settled, value = stretch.settled()
            value = value if is_settled else self.decide(pointer, stretch)
            pieces.append(_of_kind(str, value, pointer))
        return "".join(pieces)

    def decide(self, pointer: str, sides: _Three) -> Any:
        """What was chosen for this conflict; notes it, and goes on with our side, when nothing was."""
        count = self._used.get(pointer, 0) + 1
        key = pointer if count == 1 else f"{pointer}#{count}"
        while key in self._used:
            count += 1
            key = f"{pointer}#{count}"
        self._used[pointer] = count  # the next stretch counts on from here: there can be ten thousands of them
        self._used.setdefault(key, 1)
        choice = self._choices.get(key, MISSING)
        if choice is MISSING:
            self.conflicts.append(Conflict(key, pointer, sides.base, sides.ours, sides.theirs))
            return sides.ours
        if isinstance(choice, str) and choice in ("base", "ours", "theirs"):
            return getattr(sides, choice)
        return choice["value"] if isinstance(choice, dict) and choice.keys() == {"value"} else choice

    def _by_name(self, pointer: str, sides: _Three) -> dict[str, Any]:
        """Variables or tools: each by its name, in an order that does not depend on which side is ours."""
        values = {
            name: _of_kind(Mapping, self.value(f"{pointer}/{escaped(name)}", sides.at(name)), pointer)
            for name in _names(list(sides.base), list(sides.ours), list(sides.theirs))
        }
        return {name: value for name, value in values.items() if value is not MISSING}

    def _messages(self, base: PromptContent, ours: PromptContent, theirs: PromptContent) -> list[dict[str, Any]]:
        before, left, right = (to_data(side)["messages"] for side in (base, ours, theirs))
        our_fates, our_new = _fates(base.messages, ours.messages)
        their_fates, their_new = _fates(base.messages, theirs.messages)
        merged: list[dict[str, Any]] = []
        for index in range(len(before) + 1):
            new = _Three([], [left[j] for j in our_new[index]], [right[j] for j in their_new[index]])
            merged.extend(self._inserted(index, new))
            if index < len(before):
                our, their = our_fates[index], their_fates[index]
                sides = _Three(
                    before[index], MISSING if our is None else left[our], MISSING if their is None else right[their]
                )
                merged.extend(self._message(f"/messages/{index}", sides))
        # Each side may have removed what the other one kept; a prompt without a message is none.
        return merged or _of_kind(list, self.decide("/messages", _Three(before, left, right)), "/messages")

    def _inserted(self, index: int, new: _Three) -> list[dict[str, Any]]:
        is_settled, messages = new.settled()
        if not is_settled:
            messages = _of_kind(list, self.decide(f"/messages/{index}/before", new), "/messages")
        return list(messages)

    def _message(self, pointer: str, sides: _Three) -> list[dict[str, Any]]:
        is_settled, message = sides.settled()
        if not is_settled and sides.are(dict):
            message = self._fields(pointer, sides)
        elif not is_settled:
            message = self.decide(pointer, sides)
        return [] if message is MISSING or message is None else [message]

    def _fields(self, pointer: str, sides: _Three) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for key in sorted({**sides.base, **sides.ours, **sides.theirs}):
            field = sides.at(key)
            if key == "content" and field.are(str):
                fields[key] = self.text(f"{pointer}/content", field.base, field.ours, field.theirs)
            else:
                fields[key] = self.value(f"{pointer}/{key}", field)
        return {key: value for key, value in fields.items() if value is not MISSING}


def _of_kind(kind: type, value: Any, pointer: str) -> Any:
    """The value, if it can stand there; a value that was chosen by hand may be anything."""
    if value is MISSING or isinstance(value, kind):
        return value
    names: dict[Any, str] = {str: "text", list: "a list of messages", Mapping: "an object"}
    raise BadInput.at(pointer, f"What is chosen here must be {names[kind]}.")


def _stretches(base: list[str], ours: list[str], theirs: list[str]) -> Iterable[_Three]:
    """The three texts divided at the lines that all three share, in turn: what lies between, and what is shared."""
    kept_ours = _kept(matching_blocks(base, ours))
    kept_theirs = _kept(matching_blocks(base, theirs))
    i = j = k = 0
    for line in [*(line for line in range(len(base)) if line in kept_ours and line in kept_theirs), len(base)]:
        is_end = line == len(base)
        our_line = len(ours) if is_end else kept_ours[line]
        their_line = len(theirs) if is_end else kept_theirs[line]
        yield _Three("".join(base[i:line]), "".join(ours[j:our_line]), "".join(theirs[k:their_line]))
        if not is_end:
            yield _Three(base[line], base[line], base[line])
        i, j, k = line + 1, our_line + 1, their_line + 1


def _kept(blocks: Sequence[Block]) -> dict[int, int]:
    """Which line of the base is which line of a side."""
    return {i + n: j + n for i, j, length in blocks for n in range(length)}


def _fates(base: Sequence[Message], side: Sequence[Message]) -> tuple[list[int | None], list[list[int]]]:
    """For each message of the base, what it became (None: removed); and what is new before each, and at the end."""
    fates: list[int | None] = [None] * len(base)
    new: list[list[int]] = [[] for _ in range(len(base) + 1)]
    following = 0
    for i, j in pair_messages(base, side):
        if i is None:
            assert j is not None
            new[following].append(j)
            continue
        fates[i] = j
        following = i + 1
    return fates, new


def _names(base: list[str], ours: list[str], theirs: list[str]) -> list[str]:
    """All names, in the order of the side that changed the order or added; else those of the base first."""
    if theirs == base or ours == theirs:
        return _with(ours, base)
    if ours == base:
        return _with(theirs, base)
    return _with(base, sorted({*ours, *theirs}))


def _with(first: Sequence[str], more: Collection[str]) -> list[str]:
    return list(dict.fromkeys([*first, *more]))
