"""What a process has done counts, also when its event loop cannot be closed cleanly."""

from __future__ import annotations

import asyncio
import errno

import pytest

from tasks_server.event_loop import run_event_loop


class Busy(asyncio.SelectorEventLoop):
    """As uvloop's, when a connection was just being made."""

    def close(self) -> None:
        super().close()
        raise OSError(errno.EBUSY, "Device or resource busy")


async def done() -> str:
    return "done"


async def failing() -> str:
    raise ValueError("of the program's own")


def test_a_loop_that_cannot_be_closed_takes_nothing_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("tasks_server.event_loop.new_event_loop", Busy)
    assert run_event_loop(done()) == "done"
    assert "busy" in caplog.text
    with pytest.raises(ValueError, match="own"):
        run_event_loop(failing())
