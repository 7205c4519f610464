"""Keys: version 7, in the order in which they were made, and never the same twice."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

import pytest

from autoforge.db.ids import new_id, parse_id


def test_a_key_is_a_uuid_7_of_this_moment() -> None:
    before = time.time_ns() // 1_000_000
    key = new_id()
    assert (key.version, key.variant) == (7, RFC_4122)
    assert before <= key.int >> 80 <= time.time_ns() // 1_000_000 + 1


def test_keys_increase_in_their_order() -> None:
    keys = [new_id() for _ in range(10_000)]
    assert keys == sorted(set(keys))


def test_threads_never_make_the_same_key() -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: [new_id() for _ in range(2_000)], range(4)))
    assert all(keys == sorted(keys) for keys in made)
    assert len({key for keys in made for key in keys}) == 8_000


def test_the_last_bits_are_drawn_anew_for_each() -> None:
    tails = [new_id().int & 0x3FFF_FFFF_FFFF_FFFF for _ in range(1_000)]
    assert len(set(tails)) == 1_000
    ones = sum(tail.bit_count() for tail in tails) / 1_000
    assert 29 < ones < 33  # of 62 bits; eight standard deviations to either side


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_does_not_go_on_with_its_parents_bits() -> None:
    new_id()  # the parent has drawn for more than one
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, new_id().bytes)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        theirs = UUID(bytes=answer.read())
    assert theirs.int & 0x3FFF_FFFF_FFFF_FFFF != new_id().int & 0x3FFF_FFFF_FFFF_FFFF


def test_reading_a_key_back() -> None:
    key = new_id()
    assert parse_id(str(key)) == key
    assert parse_id("none") is None
