"""What is pushed may come twice, late or never."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio

from tasks_server.client.messages import DetailedTask
from tasks_server.client.push import Inbox, TaskStream


def snapshot(second: int) -> DetailedTask:
    moment = datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)
    return DetailedTask(task_id="t", status="working", last_updated_at=moment)


def test_a_snapshot_that_was_overtaken_is_dropped() -> None:
    inbox = Inbox()
    inbox.put(snapshot(2))
    inbox.put(snapshot(1))
    assert inbox.take() == snapshot(2)
    assert inbox.take() is None


def test_only_the_newest_snapshot_is_kept() -> None:
    inbox = Inbox()
    inbox.put(snapshot(1))
    inbox.put(snapshot(2))
    assert inbox.take() == snapshot(2)


async def test_the_end_of_the_stream_wakes_whoever_waits_for_it() -> None:
    inbox = Inbox()
    inbox.put(snapshot(1))
    inbox.take()
    inbox.lost()
    with anyio.fail_after(1):
        await inbox.wait()
    assert not inbox.is_live
    assert inbox.take() is None


def test_what_nobody_follows_is_nobodys() -> None:
    stream = TaskStream()
    stream.deliver(snapshot(1))
    with stream.inbox("t") as inbox:
        assert inbox.take() is None
        stream.deliver(snapshot(2))
        assert inbox.take() == snapshot(2)
    stream.deliver(snapshot(3))
    assert inbox.take() is None
