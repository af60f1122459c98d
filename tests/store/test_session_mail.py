"""Messages for a stream that another process holds: taken once, or taken back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tasks_server.errors import MessageUndelivered
from tasks_server.session_mail import SessionMail
from tasks_server.signals import SessionMessage
from tests.store.record import Record, opened
from tests.support.servers import ValkeyServer
from tests.support.waiting import wait_until

LARGE = b"x" * 2_000_000


def mail_of(record: Record) -> SessionMail:
    return SessionMail(record.redis, record.bus)


@pytest.fixture
async def sender(record: Record) -> SessionMail:
    await record.start()
    return mail_of(record)


@pytest.fixture
async def holder(another: Record) -> Record:
    await another.start()
    return another


async def keys(record: Record) -> list[bytes]:
    redis: Any = record.redis
    return await redis.keys("tasks:message:*")


async def test_a_message_of_any_size_reaches_the_holder_of_the_stream(
    record: Record, sender: SessionMail, holder: Record
):
    async with holder.bus.subscribe(SessionMessage) as signals:
        delivering = asyncio.create_task(sender.deliver("s", LARGE))
        announced = await anext(signals)
        assert isinstance(announced, SessionMessage)
        assert announced.session_id == "s"
        assert not delivering.done()
        assert await mail_of(holder).take(announced) == LARGE
        await delivering
        assert await mail_of(holder).take(announced) is None


async def test_a_message_whose_announcement_was_lost_is_announced_again(
    record: Record, sender: SessionMail, holder: Record, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tasks_server.session_mail.ANNOUNCED_EVERY_SECONDS", 0.05)
    async with holder.bus.subscribe(SessionMessage) as signals:
        delivering = asyncio.create_task(sender.deliver("s", b"{}"))
        lost = await anext(signals)
        announced = await anext(signals)
        assert announced == lost
        assert isinstance(announced, SessionMessage)
        assert await mail_of(holder).take(announced) == b"{}"
        await delivering


async def test_a_message_that_nobody_takes_is_taken_back(
    record: Record, sender: SessionMail, holder: Record, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tasks_server.session_mail.TAKEN_WITHIN_SECONDS", 0.05)
    async with holder.bus.subscribe(SessionMessage) as signals:
        with pytest.raises(MessageUndelivered, match="does not answer"):
            await sender.deliver("s", b"{}")
        announced = await anext(signals)
        assert isinstance(announced, SessionMessage)
        assert await mail_of(holder).take(announced) is None
    assert await keys(record) == []


async def test_a_message_that_was_taken_counts_as_delivered_though_nobody_heard_of_it(
    record: Record, sender: SessionMail, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tasks_server.session_mail.TAKEN_WITHIN_SECONDS", 0.5)
    delivering = asyncio.create_task(sender.deliver("s", b"{}"))
    (key,) = await wait_until(lambda: keys(record), describing="the message")
    await record.redis.set(key, b"", xx=True, keepttl=True)  # as the holder does
    await delivering
    assert await keys(record) == []


async def test_a_message_that_redis_has_lost_is_not_delivered(
    record: Record, sender: SessionMail, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tasks_server.session_mail.TAKEN_WITHIN_SECONDS", 0.5)
    delivering = asyncio.create_task(sender.deliver("s", b"{}"))
    (key,) = await wait_until(lambda: keys(record), describing="the message")
    await record.redis.delete(key)
    with pytest.raises(MessageUndelivered, match="has lost it"):
        await delivering


async def test_without_redis_nothing_is_waited_for(sqlite_url: str, valkey: ValkeyServer, tmp_path: Any):
    async with opened(sqlite_url, valkey.url, tmp_path) as record:
        await record.start()
        valkey.kill()
        await wait_until(lambda: not record.bus.connected.is_set(), describing="the loss of Redis")
        with pytest.raises(MessageUndelivered, match="Redis cannot be reached"):
            await mail_of(record).deliver("s", b"{}")
        assert await mail_of(record).take(SessionMessage("s", "m")) is None
