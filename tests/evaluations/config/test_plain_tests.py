"""Plain tests are not validated one by one, which must make no difference but for the time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from autoforge.errors import BadInput
from autoforge.evaluations.config import schema
from autoforge.evaluations.suite_imports import config_of_tests

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
ASSERTIONS = st.dictionaries(
    st.sampled_from(["type", "value", "metric", "weight", "threshold", "transform", "assert", "$ref", "other"]), VALUES
)
TESTS = st.dictionaries(
    st.sampled_from(["vars", "assert", "description", "threshold", "options", "other"]),
    VALUES | st.lists(ASSERTIONS, max_size=2) | st.dictionaries(st.text(max_size=3), VALUES, max_size=2),
)
VALIDATOR = Draft202012Validator(schema.config_schema())


@given(st.one_of(TESTS, VALUES))
def test_what_is_taken_for_plain_fits_the_schema(test: Any) -> None:
    if schema.is_plain(test):
        assert VALIDATOR.is_valid({"tests": [test]})


def test_the_usual_test_is_plain() -> None:
    asserted = [{"type": "equals", "value": 4, "weight": 2, "metric": "sum", "threshold": 0.5}]
    assert schema.is_plain({"vars": {"question": "2 + 2?"}, "assert": asserted, "description": "a sum"})


@pytest.mark.parametrize("places", [[0], [3], [1, 4]])
def test_what_is_wrong_is_found_where_it_stands_among_plain_tests(places: list[int]) -> None:
    plain: dict[str, Any] = {"vars": {"x": "1"}, "assert": [{"type": "equals", "value": "1"}]}
    tests = [{**plain, "assert": [{"value": "1"}]} if place in places else plain for place in range(5)]
    with pytest.raises(BadInput) as caught:
        config_of_tests(tests, None)
    assert [problem.pointer for problem in caught.value.errors] == [f"/tests/{place}/assert/0" for place in places]
