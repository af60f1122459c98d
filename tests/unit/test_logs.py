from __future__ import annotations

import logging

import pytest

from tasks_server.logs import LINES, JsonLines, TextLines


def _recurse(depth: int) -> int:
    # Two functions, because Python itself shortens repetitions of one line.
    return _again(depth - 1) if depth else 1 // 0


def _again(depth: int) -> int:
    return _recurse(depth)


@pytest.mark.parametrize("formatter", [TextLines("worker"), JsonLines("worker")])
@pytest.mark.parametrize("depth", [1, 400])
def test_a_traceback_is_never_longer_than_a_person_reads(formatter: logging.Formatter, depth: int) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        _recurse(depth)
    broken = (raised.type, raised.value, raised.tb)
    record = logging.LogRecord("tool", logging.ERROR, __file__, 1, "it broke", (), broken)
    text = formatter.format(record).replace("\\n", "\n")
    assert text.count("\n") <= 2 * LINES + 1
    assert "test_a_traceback" in text
    assert "ZeroDivisionError" in text
