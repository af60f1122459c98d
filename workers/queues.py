"""Keeps an arq worker running for every queue this process serves, and wakes them when work arrives."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import anyio
from arq.connections import ArqRedis

from tasks_server.queue import wake_channel
from tasks_server.redis_client import BLOCK_SECONDS, UNAVAILABLE, connect_blocking
from workers.queue_worker import Handle, QueueWorker, Slots

log = logging.getLogger(__name__)

RESTART_PAUSES_SECONDS = (0.1, 0.5, 1.0, 2.0)
STEADY_SECONDS = 60.0
PICKING_SECONDS = 2.0


class Queues:
    """All queues of one worker process, over the same slots."""

    def __init__(self, redis: ArqRedis, redis_url: str, concurrency: int, handle: Handle) -> None:
        self.slots = Slots(concurrency)
        self._redis = redis
        self._redis_url = redis_url
        self._handle = handle
        self._supervised: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._picking = True

    def serve(self, queues: Iterable[str]) -> None:
        """Start serving those of these queues that are not served yet."""
        for queue in queues:
            if queue not in self._supervised and self._picking:
                self._supervised[queue] = asyncio.create_task(self._supervise(queue), name=f"queue {queue}")
                self._changed.set()

    def stop_picking(self) -> None:
        """Take no more work; what runs goes on."""
        self._picking = False
        for worker in self.slots.workers:
            worker.allow_pick_jobs = False

    def pause_picking(self) -> None:
        """Take no more work for now."""
        self.slots.paused = True

    def resume_picking(self) -> None:
        self.slots.paused = False
        self.slots.wake()

    def picked_ago_ms(self) -> int | None:
        """Since when not all queues have been looked into; None before each has been, once."""
        looked_at = [self.slots.looked_at.get(queue) for queue in self._supervised]
        oldest = min((at for at in looked_at if at is not None), default=None)
        if oldest is None or None in looked_at:
            return None
        return int((time.monotonic() - oldest) * 1000)

    async def until_idle(self, timeout_seconds: float) -> None:
        """Wait until nothing runs, or until the time is up."""
        with anyio.move_on_after(PICKING_SECONDS):
            async with self.slots.picking:  # a job that is just being picked is about to run
                pass
        jobs = [job for worker in self.slots.workers for job in worker.tasks.values()]
        if jobs:
            await asyncio.wait(jobs, timeout=timeout_seconds)

    async def close(self) -> None:
        for supervised in self._supervised.values():
            supervised.cancel()
        await asyncio.gather(*self._supervised.values(), return_exceptions=True)

    async def _supervise(self, queue: str) -> None:
        """Run a queue's arq worker; when it fails (Redis went away), build a new one after a pause."""
        failures = 0
        while self._picking:
            started = time.monotonic()
            worker = QueueWorker(self._redis, queue, self.slots, self._handle)
            self.slots.take_in(worker)
            try:
                await worker.main()
            except UNAVAILABLE as error:
                log.warning("queue %s: %s; trying again", queue, error)
            except Exception:
                log.exception("queue %s: arq's worker failed; starting a new one", queue)
            worker.allow_pick_jobs = False
            failures = 0 if time.monotonic() - started > STEADY_SECONDS else failures + 1
            await anyio.sleep(RESTART_PAUSES_SECONDS[min(failures, len(RESTART_PAUSES_SECONDS) - 1)])

    async def listen_for_wakes(self) -> None:
        """Wake the queues when work arrives, until cancelled. They poll too, so an outage only costs latency."""
        while True:
            with suppress(*UNAVAILABLE):
                await self._receive_wakes()
            await anyio.sleep(RESTART_PAUSES_SECONDS[1])

    async def _receive_wakes(self) -> None:
        # redis-py leaves its pub/sub signatures partly untyped.
        client: Any = connect_blocking(self._redis_url)
        try:
            async with client.pubsub() as subscription:
                self._changed.set()
                while True:
                    if self._changed.is_set():
                        self._changed.clear()
                        await subscription.subscribe(*(wake_channel(queue) for queue in self._supervised))
                    if await subscription.get_message(timeout=BLOCK_SECONDS) is not None:
                        self.slots.wake()
        finally:
            await client.aclose()
