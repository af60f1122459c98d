from __future__ import annotations

import pytest

from tasks_server.log_level import is_wanted


@pytest.mark.parametrize(
    ("level", "least", "wanted"),
    [
        ("error", "warning", True),
        ("warning", "warning", True),
        ("notice", "warning", False),
        ("emergency", "debug", True),
        ("emergency", None, False),
        ("shout", "debug", False),
    ],
)
def test_messages_are_wanted_from_a_level_on(level: str, least: str | None, wanted: bool):
    assert is_wanted(level, least) is wanted
