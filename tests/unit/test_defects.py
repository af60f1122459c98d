"""A defect in the background is said, shown, and does not end anything."""

from __future__ import annotations

import asyncio

import pytest

from tasks_server.defects import Defects, keep_running


async def test_a_part_that_fails_is_started_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("tasks_server.defects.RESTART_SECONDS", 0.0)
    starts = 0
    runs_on = asyncio.Event()

    async def part() -> None:
        nonlocal starts
        starts += 1
        if starts < 3:
            raise ValueError("no such column: colour")
        runs_on.set()
        await asyncio.Event().wait()

    defects = Defects()
    running = asyncio.create_task(keep_running(part, "the painter", defects))
    await asyncio.wait_for(runs_on.wait(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert defects.current() == ("the painter: ValueError: no such column: colour",)
    (said,) = [record for record in caplog.records if record.exc_info]
    assert "the painter" in said.message


def test_a_defect_that_repeats_is_said_again_with_its_count(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    defects = Defects()
    for _ in range(5):
        defects.met("here", ValueError("wrong"))
    assert len(caplog.records) == 1
    now += 31
    defects.met("here", ValueError("wrong"))
    assert "4 times" in caplog.records[-1].message
    now += 121
    assert defects.current() == ()


def test_of_a_group_the_first_cause_is_shown():
    defects = Defects()
    defects.met("here", ExceptionGroup("many", [KeyError("a"), ValueError("b")]))
    assert defects.current()[0].endswith("'a'")
