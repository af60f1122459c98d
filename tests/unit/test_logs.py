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


def test_what_a_stranger_sent_cannot_pass_for_a_line_of_ours() -> None:
    said = "no file \x1b[31mred\u2028a\r\n12:00:00 error   server: forged\0"
    record = logging.LogRecord("tool", logging.ERROR, __file__, 1, "it broke: %s", (said,), None)
    first, *rest = TextLines("worker").format(record).split("\n")
    assert first.endswith(r" error   worker: it broke: no file \x1b[31mred")
    assert rest == ["  a", r"  12:00:00 error   server: forged\x00"]


def test_one_line_is_never_megabytes() -> None:
    record = logging.LogRecord("tool", logging.ERROR, __file__, 1, "x" * 1_000_000, (), None)
    assert len(TextLines("worker").format(record)) < 11_000
