"""Who has to look again: signals travel over one Redis stream, read once per process and fanned out in memory.

After an outage every subscriber is told to look again at everything.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from arq.connections import ArqRedis
from redis.asyncio import Redis

from tasks_server.batch import Batch
from tasks_server.redis_client import BLOCK_SECONDS, HINT_SECONDS, UNAVAILABLE
from tasks_server.signals import SIGNALS, Resync, Signal, decode_signal, encode_signal

log = logging.getLogger(__name__)

STREAM = "tasks:bus"
STREAM_LENGTH = 10_000
READ_COUNT = 500
RECONNECT_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)


class Subscription:
    """The signals one subscriber has yet to see. A subscriber that falls behind is told to resync instead."""

    def __init__(self, limit: int) -> None:
        self._pending: asyncio.Queue[Signal] = asyncio.Queue()
        self._limit = limit
        self._is_at_work = False

    def offer(self, signal: Signal) -> None:
        if self._pending.qsize() >= self._limit:
            while not self._pending.empty():
                self._pending.get_nowait()
                self._pending.task_done()
            signal = Resync()
        self._pending.put_nowait(signal)

    def __aiter__(self) -> AsyncIterator[Signal]:
        return self

    async def __anext__(self) -> Signal:
        if self._is_at_work:
            self._is_at_work = False
            self._pending.task_done()
        signal = await self._pending.get()
        self._is_at_work = True
        return signal

    async def idle(self) -> None:
        """Return once the subscriber has dealt with everything that has been delivered, and asks for more."""
        await self._pending.join()


class Bus:
    """One per process. `run` reads the stream; `publish` writes to it; `subscribe` listens in memory."""

    def __init__(self, redis: ArqRedis, blocking: Redis) -> None:
        self._redis = redis
        self._blocking = blocking
        self._subscriptions: dict[type[Signal], set[Subscription]] = {kind: set() for kind in SIGNALS}
        self.connected = asyncio.Event()
        self._is_down = False
        self._position = (0, 0)
        self._moved = asyncio.Event()
        self._publishing: Batch[Sequence[Signal], None] = Batch(self._publish)

    @asynccontextmanager
    async def subscribe(self, *kinds: type[Signal], limit: int = 10_000) -> AsyncGenerator[Subscription]:
        """Signals of these kinds from now on, in order, and `Resync` whenever some may have been missed."""
        subscription = Subscription(limit)
        wanted = {*kinds, Resync}
        for kind in wanted:
            self._subscriptions[kind].add(subscription)
        try:
            yield subscription
        finally:
            for kind in wanted:
                self._subscriptions[kind].discard(subscription)

    async def publish(self, *signals: Signal) -> None:
        """Best effort: a lost signal costs its readers latency, so an outage is not the publisher's problem.

        While `run` finds Redis down, nothing is tried: a tool must not wait for its every report.
        """
        if not self._is_down:
            await self._publishing.submit(signals)

    def publish_soon(self, *signals: Signal) -> None:
        """The same, without waiting for Redis."""
        if not self._is_down:
            self._publishing.begin(signals)

    async def catch_up(self, subscription: Subscription) -> None:
        """Return once this subscriber has dealt with everything that anybody has published before.

        Without waiting for a Redis that is away, or for one that hangs for longer than `HINT_SECONDS`.
        """
        if not self.connected.is_set():
            return
        with suppress(*UNAVAILABLE):
            async with asyncio.timeout(HINT_SECONDS):
                newest = _position(await _newest(self._redis))
                while self._position < newest:
                    await self._moved.wait()
                await subscription.idle()

    async def _publish(self, said: Sequence[Sequence[Signal]]) -> Sequence[None]:
        pipe = self._redis.pipeline(transaction=False)
        signals = [signal for each in said for signal in each]
        for signal in signals:
            pipe.xadd(STREAM, {b"s": encode_signal(signal)}, maxlen=STREAM_LENGTH, approximate=True)
        try:
            async with asyncio.timeout(HINT_SECONDS):
                await pipe.execute()
        except UNAVAILABLE as error:
            reason = str(error) or "it hangs"
            log.warning("Redis is not reachable, %d signals are lost: %s", len(signals), reason)
        return [None] * len(said)

    async def run(self) -> None:
        """Read the stream until cancelled, through any number of outages."""
        failures = 0
        while True:
            try:
                position = await _newest(self._blocking)
                if failures:
                    log.info("Redis is reachable again")
                self._is_down = False
                self._deliver([Resync()])
                self._move(position)
                self.connected.set()
                failures = 0
                while True:
                    position = await self._read_after(position)
            except UNAVAILABLE as error:
                self.connected.clear()
                if failures == 0:
                    log.warning("Redis is not reachable, changes are told late: %s", str(error) or "it hangs")
                self._is_down = True
                pause = RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)]
                failures += 1
                await asyncio.sleep(pause)

    async def _read_after(self, position: bytes) -> bytes:
        answer: Any = await self._blocking.xread(
            {STREAM: position}, count=READ_COUNT, block=int(BLOCK_SECONDS * 1000)
        )
        if not answer:
            return position
        entries = answer[0][1]
        heard = (decode_signal(fields.get(b"s", b"")) for _, fields in entries)
        self._deliver(signal for signal in heard if signal is not None)
        self._move(entries[-1][0])
        return entries[-1][0]

    def _move(self, entry_id: bytes) -> None:
        self._position = _position(entry_id)
        self._moved.set()
        self._moved = asyncio.Event()

    def _deliver(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            for subscription in self._subscriptions[type(signal)]:
                subscription.offer(signal)

    async def close(self) -> None:
        """After this nothing is said or heard any more; what has been begun is said."""
        await self._publishing.idle()
        with suppress(*UNAVAILABLE):
            await self._blocking.aclose()


async def _newest(redis: Redis) -> bytes:
    latest: Any = await redis.xrevrange(STREAM, count=1)
    return latest[0][0] if latest else b"0-0"


def _position(entry_id: bytes) -> tuple[int, int]:
    """The order of a stream's entries."""
    milliseconds, sequence = entry_id.split(b"-")
    return int(milliseconds), int(sequence)
