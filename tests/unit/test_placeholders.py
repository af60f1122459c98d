from __future__ import annotations

from typing import Any

import pytest

from tasks_server.placeholders import filled

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "folder": {"type": "string", "default": "inbox"}, "odd": True},
}


def test_a_message_is_filled_with_arguments_and_nothing_else():
    message = "Delete {name} of {owner}? {name.__class__} {}"
    filled_in = "Delete a{owner}.txt of {owner}? {name.__class__} {}"
    assert filled(message, {"name": "a{owner}.txt"}, SCHEMA) == filled_in


def test_an_argument_that_is_left_out_is_shown_at_its_default():
    assert filled("Empty {folder}?", {}, SCHEMA) == "Empty inbox?"
    assert filled("Empty {folder}?", {"folder": "sent"}, SCHEMA) == "Empty sent?"


@pytest.mark.parametrize("schema", [{}, {"properties": None}, {"properties": {"folder": True}}])
def test_a_schema_without_defaults_fills_nothing(schema: dict[str, Any]):
    assert filled("Empty {folder}?", {}, schema) == "Empty {folder}?"
