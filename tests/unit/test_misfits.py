from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from tasks_server.misfits import MAX_CHARACTERS, misfits

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"count": {"type": "integer"}, "word": {"type": "string", "maxLength": 3}},
    "additionalProperties": False,
}
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)


def test_what_fits_has_no_misfits() -> None:
    assert misfits(VALIDATOR, {"count": 1, "word": "yes"}, at_most=5) == []


def test_the_field_is_named_with_what_is_wrong() -> None:
    assert misfits(VALIDATOR, {"count": "x"}, at_most=5) == ['count: "x" is not of type "integer"']


@pytest.mark.parametrize(
    ("value", "ending"),
    [
        ({"count": "x" * 100_000}, 'is not of type "integer"'),
        ({"word": "x" * 100_000}, "is longer than 3 characters"),
        ({f"key {number}": 1 for number in range(10_000)}, "were unexpected)"),
    ],
)
def test_a_long_value_is_not_repeated(value: dict[str, Any], ending: str) -> None:
    (sentence,) = misfits(VALIDATOR, value, at_most=5)
    assert len(sentence) <= MAX_CHARACTERS + 3
    assert sentence.endswith(ending)


def test_only_so_many_are_told() -> None:
    assert len(misfits(VALIDATOR, {"count": "x", "word": "long", "more": 1}, at_most=2)) == 2
