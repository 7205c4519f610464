"""Which elements of two sequences stay, in time and memory that are bounded whatever they contain.

A longest common subsequence is exact, but quadratic. So the common ends are cut off first; what is left is solved
exactly (bit-parallel, by rapidfuzz) if it is small enough, and is split at elements that occur once on both sides if
it is not ("patience diff"; the anchors are a longest increasing subsequence). A piece that is too large and has no
such anchor counts as replaced.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

EXACT = 16_000_000
"""Product of two lengths up to which the exact algorithm is used: 2 MB of bits, a few milliseconds."""

Block = tuple[int, int, int]


def matching_blocks(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[Block]:
    """Blocks ``(i, j, n)`` with ``a[i:i+n] == b[j:j+n]``, ascending on both sides, none empty, none adjacent."""
    ids: dict[Hashable, int] = {}
    left = [ids.setdefault(element, len(ids)) for element in a]
    right = [ids.setdefault(element, len(ids)) for element in b]
    return list(_joined(sorted(_blocks(left, right))))


def gaps(blocks: Sequence[Block], length_a: int, length_b: int) -> Iterator[tuple[slice, slice, Block]]:
    """What lies before each block (either side may be empty), with the block; the last block is empty."""
    i = j = 0
    for block in [*blocks, (length_a, length_b, 0)]:
        yield slice(i, block[0]), slice(j, block[1]), block
        i, j = block[0] + block[2], block[1] + block[2]


def _blocks(a: list[int], b: list[int]) -> Iterator[Block]:
    waiting = [(0, len(a), 0, len(b))]
    while waiting:
        low_a, high_a, low_b, high_b = waiting.pop()
        head = _common(a, b, low_a, high_a, low_b, high_b)
        yield from _block(low_a, low_b, head)
        low_a, low_b = low_a + head, low_b + head
        tail = _common_tail(a, b, low_a, high_a, low_b, high_b)
        high_a, high_b = high_a - tail, high_b - tail
        yield from _block(high_a, high_b, tail)
        size = (high_a - low_a) * (high_b - low_b)
        if size > EXACT:
            waiting.extend(_split(a, b, low_a, high_a, low_b, high_b))
        elif size:
            yield from _exact(a[low_a:high_a], b[low_b:high_b], low_a, low_b)


def _block(i: int, j: int, length: int) -> Iterator[Block]:
    if length:
        yield i, j, length


def _common(a: list[int], b: list[int], low_a: int, high_a: int, low_b: int, high_b: int) -> int:
    length, most = 0, min(high_a - low_a, high_b - low_b)
    while length < most and a[low_a + length] == b[low_b + length]:
        length += 1
    return length


def _common_tail(a: list[int], b: list[int], low_a: int, high_a: int, low_b: int, high_b: int) -> int:
    length, most = 0, min(high_a - low_a, high_b - low_b)
    while length < most and a[high_a - length - 1] == b[high_b - length - 1]:
        length += 1
    return length


def _exact(a: list[int], b: list[int], offset_a: int, offset_b: int) -> Iterator[Block]:
    from rapidfuzz.distance import Indel  # 4 MB that a server without comparisons need not hold

    for code in Indel.opcodes(a, b):
        if code.tag == "equal":
            yield offset_a + code.src_start, offset_b + code.dest_start, code.src_end - code.src_start


def _split(
    a: list[int], b: list[int], low_a: int, high_a: int, low_b: int, high_b: int
) -> Iterator[tuple[int, int, int, int]]:
    """The ranges that anchors divide this one into; each but the last begins at an anchor. Nothing without anchors."""
    anchors = _anchors(a[low_a:high_a], b[low_b:high_b])
    starts = [(low_a + i, low_b + j) for i, j in anchors]
    if not starts:
        return
    yield low_a, starts[0][0], low_b, starts[0][1]
    ends = [*starts[1:], (high_a, high_b)]
    for (i, j), (next_i, next_j) in zip(starts, ends, strict=True):
        yield i, next_i, j, next_j


def _anchors(a: list[int], b: list[int]) -> list[tuple[int, int]]:
    """The longest ascending chain of elements that occur exactly once on both sides."""
    once_a = {element for element, count in Counter(a).items() if count == 1}
    once_b = {element for element, count in Counter(b).items() if count == 1}
    where_b = {element: j for j, element in enumerate(b) if element in once_b and element in once_a}
    return _ascending([(i, where_b[element]) for i, element in enumerate(a) if element in where_b])


def _ascending(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Longest increasing subsequence by the second number (patience sorting)."""
    tops: list[int] = []
    at_top: list[int] = []
    before: list[int] = []
    for index, (_, j) in enumerate(pairs):
        pile = bisect_left(tops, j)
        before.append(at_top[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [j]
        at_top[pile : pile + 1] = [index]
    chain: list[tuple[int, int]] = []
    index = at_top[-1] if at_top else -1
    while index >= 0:
        chain.append(pairs[index])
        index = before[index]
    return chain[::-1]


def _joined(blocks: list[Block]) -> Iterator[Block]:
    current: Block | None = None
    for i, j, length in blocks:
        if current and current[0] + current[2] == i and current[1] + current[2] == j:
            current = (current[0], current[1], current[2] + length)
            continue
        if current:
            yield current
        current = (i, j, length)
    if current:
        yield current
