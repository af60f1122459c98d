"""A blocked event loop is noticed while it is blocked, by a thread beside it."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from tests.support.waiting import wait_until
from workers.stall import StallWatch

ID = "0123456789abcdef"


def hold_up(until: threading.Event) -> None:
    """What an author has written: it blocks."""
    assert until.wait(20)


class Watched:
    """A watch over this test's loop, and what it has noticed."""

    def __init__(self, warn_seconds: float = 0.2, end_seconds: float | None = None) -> None:
        self.noticed = threading.Event()
        self.ended = threading.Event()
        self.evidence: dict[str, str] = {}
        watch = StallWatch(
            lambda: [ID, "another"],
            self._keep,
            warn_seconds=warn_seconds,
            end_seconds=end_seconds,
            end=self.ended.set,
        )
        self._running = asyncio.create_task(watch.run())

    def _keep(self, task_id: str, text: str) -> None:
        self.evidence[task_id] = text
        self.noticed.set()

    async def block(self, until: threading.Event, name: str) -> None:
        async def work() -> None:
            hold_up(until)

        await asyncio.sleep(0)
        await asyncio.create_task(work(), name=name)

    async def stop(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])


async def test_the_code_that_blocks_is_named_while_it_does(caplog: pytest.LogCaptureFixture):
    watched = Watched()
    await watched.block(watched.noticed, f"task {ID}")
    assert watched.evidence.keys() == {ID}
    assert "hold_up" in watched.evidence[ID]
    assert "run_until_complete" not in watched.evidence[ID], "only the author's frames"
    assert any(ID in line.message and "blocked for" in line.message for line in caplog.records)
    await wait_until(
        lambda: any("turns again" in line.message for line in caplog.records), describing="the end of it"
    )
    await watched.stop()


async def test_all_that_run_are_suspects_when_it_cannot_be_told(caplog: pytest.LogCaptureFixture):
    watched = Watched()
    await watched.block(watched.noticed, "a part that the tool has started")
    await watched.stop()
    assert watched.evidence.keys() <= {ID, "another"}
    assert watched.evidence


async def test_a_loop_that_stays_blocked_is_ended():
    watched = Watched(warn_seconds=0.1, end_seconds=0.4)
    began = time.monotonic()
    await watched.block(watched.ended, f"task {ID}")
    assert time.monotonic() - began > 0.3
    await watched.stop()


async def test_a_loop_that_turns_is_left_alone(caplog: pytest.LogCaptureFixture):
    watched = Watched(warn_seconds=5.0, end_seconds=6.0)
    for _ in range(100):
        await asyncio.sleep(0)
    await watched.stop()
    assert not watched.noticed.is_set()
    assert caplog.records == []
