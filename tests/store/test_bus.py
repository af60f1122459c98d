"""Signals between processes: in order, to those who want them, and never silently lost."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tasks_server.bus import STREAM, Subscription
from tasks_server.signals import (
    CatalogChanged,
    ResourceUpdated,
    Resync,
    SessionChanged,
    SessionMessage,
    SessionTask,
    Signal,
    TaskChanged,
    TaskLogged,
    TaskNoted,
    TaskNudged,
    TaskProgressed,
    VoiceTaken,
    decode_signal,
    encode_signal,
)
from tests.store.record import Record, collect, opened
from tests.support.redis_keys import flush
from tests.support.servers import ValkeyServer
from tests.support.waiting import wait_until


@pytest.fixture
async def listening(sqlite_url: str, redis_url: str, tmp_path: Path):
    async with opened(sqlite_url, redis_url, tmp_path) as record:
        await record.start()
        yield record


SIGNALS: list[Signal] = [
    TaskChanged("a"),
    TaskNudged("a"),
    TaskProgressed("a", 1.5, None, None),
    TaskProgressed("a", 2.0, 3.0, "half"),
    TaskLogged("a", "info", {"page": 1}, None),
    TaskNoted("a"),
    VoiceTaken("a", ""),
    SessionTask("s", "a"),
    SessionChanged("s"),
    SessionMessage("s", '{"jsonrpc":"2.0"}'),
    CatalogChanged(),
    ResourceUpdated("file:///a"),
]


@pytest.mark.parametrize("signal", SIGNALS, ids=repr)
def test_a_signal_survives_its_journey(signal: Signal):
    assert decode_signal(encode_signal(signal)) == signal


@pytest.mark.parametrize(
    "data",
    [
        b'["TaskVanished", "a"]',
        b'["TaskChanged", "a", "a field of a newer version"]',
        b'["TaskChanged"]',
        b'["Resync"]',
        b"[]",
        b"{}",
        b"7",
        b"not JSON",
        b"",
    ],
)
def test_a_signal_of_another_version_is_left_alone(data: bytes):
    assert decode_signal(data) is None


async def test_signals_arrive_in_order_at_those_who_want_them(listening: Record):
    before = {kind: set(subscribed) for kind, subscribed in listening.bus._subscriptions.items()}
    async with (
        listening.bus.subscribe(TaskChanged, TaskProgressed) as some,
        listening.bus.subscribe(CatalogChanged) as other,
    ):
        await listening.bus.publish(*SIGNALS)
        assert await collect(some, 3) == [SIGNALS[0], SIGNALS[2], SIGNALS[3]]
        assert await anext(other) == CatalogChanged()
    assert listening.bus._subscriptions == before


async def test_garbage_in_the_stream_stops_nobody(listening: Record):
    async with listening.bus.subscribe(TaskChanged) as signals:
        await listening.redis.xadd(STREAM, {"s": "garbage"})
        await listening.redis.xadd(STREAM, {"another": "field"})
        await listening.bus.publish(TaskChanged("a"))
        assert await anext(signals) == TaskChanged("a")


async def test_who_falls_behind_is_told_to_look_again():
    subscription = Subscription(3)
    for number in range(5):
        subscription.offer(TaskChanged(str(number)))
    assert await collect(subscription, 2) == [Resync(), TaskChanged("4")]


async def test_an_empty_redis_under_a_connected_bus_is_no_end(listening: Record):
    async with listening.bus.subscribe(TaskChanged) as signals:
        await listening.bus.publish(TaskChanged("before"))
        assert await anext(signals) == TaskChanged("before")
        flush(listening.redis_url)
        # An entry of the same millisecond would get an id that the reader has passed already.
        last = time.time_ns() // 1_000_000
        await wait_until(lambda: time.time_ns() // 1_000_000 > last, describing="another millisecond")
        await listening.bus.publish(TaskChanged("after"))
        assert await anext(signals) == TaskChanged("after")


async def test_the_bus_survives_a_restart_and_says_that_something_may_be_missing(
    sqlite_url: str, valkey: ValkeyServer, tmp_path: Path
):
    async with opened(sqlite_url, valkey.url, tmp_path) as record:
        await record.start()
        async with record.bus.subscribe(TaskChanged) as signals:
            valkey.kill()
            await wait_until(lambda: not record.bus.connected.is_set(), describing="the outage is noticed")
            await asyncio.wait_for(record.bus.publish(TaskChanged("lost")), 5.0)
            valkey.start()
            await record.bus.connected.wait()
            await record.bus.publish(TaskChanged("after"))
            assert await collect(signals, 2) == [Resync(), TaskChanged("after")]


async def test_nobody_waits_for_a_redis_that_is_known_to_be_down(
    sqlite_url: str, valkey: ValkeyServer, tmp_path: Path
):
    """A tool that reports a thousand pages must not take a second for each."""
    async with opened(sqlite_url, valkey.url, tmp_path) as record:
        await record.start()
        valkey.kill()
        await wait_until(lambda: not record.bus.connected.is_set(), describing="the outage is noticed")
        loop = asyncio.get_running_loop()
        began = loop.time()
        for page in range(1000):
            await record.bus.publish(TaskProgressed("a", page, None, None))
        assert loop.time() - began < 30.0
