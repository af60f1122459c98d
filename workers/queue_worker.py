"""arq as the engine: waits for wake-ups, picks jobs, and hands (task id, attempt) to the runner.

What differs from a stock arq worker, and why (docs/architecture.md has the measurements):
- A wake-up over pub/sub starts work at once; the poll is only the fallback.
- Several queues share one worker's slots: there is one `QueueWorker` per queue, all over the same `Slots`.
- A job leaves the queue when its task is claimed. From then on the lease in SQL is the only lease, so arq's
  in-progress key needs to bridge just the moment between picking and claiming.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from arq.connections import ArqRedis
from arq.worker import Worker, func

from tasks_server.encoding import decode_json, encode_json
from tasks_server.queue import RUN, queue_key
from tasks_server.redis_client import UNAVAILABLE

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
# How long a picked job is hidden from others; its worker may die before it claims the task. Picking twice is harmless,
# because the claim decides.
PICK_SECONDS = 5.0
TEN_YEARS_SECONDS = 10 * 365 * 24 * 3600
UNLIMITED = 2**31 - 1
READ_PER_SLOT = 4
READ_AT_LEAST = 100

Handle = Callable[[str, int], Awaitable[None]]


class Slots:
    """How many tasks this process runs at once, over all its queues."""

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self.workers: list[QueueWorker] = []
        self.paused = False
        # When each queue was last looked into, or found all slots taken; by the monotonic clock.
        self.looked_at: dict[str, float] = {}
        # Picking reserves a slot across several awaits, so one queue picks at a time.
        self.picking = asyncio.Lock()
        self.turn = asyncio.Lock()

    @property
    def used(self) -> int:
        """Counted from the running jobs themselves, so that no failure can leak a slot."""
        return sum(worker.busy for worker in self.workers)

    def take_in(self, newcomer: QueueWorker) -> None:
        """Another worker picks from now on. What a failed one had started goes on, and counts until it is done."""
        self.workers = [worker for worker in self.workers if worker.allow_pick_jobs or worker.busy]
        self.workers.append(newcomer)

    def wake(self) -> None:
        """Let all queues look, in turn: the one that has picked last comes last."""
        for worker in self.workers:
            worker.wake()

    def has_picked(self, worker: QueueWorker) -> None:
        if worker in self.workers:
            self.workers.remove(worker)
            self.workers.append(worker)


class QueueWorker(Worker):
    """An arq worker for one queue. Build a new one after it has failed: arq's state may be inconsistent."""

    def __init__(self, redis: ArqRedis, queue: str, slots: Slots, handle: Handle) -> None:
        self._queue = queue
        self._slots = slots
        self._handle = handle
        self._woken = asyncio.Event()
        super().__init__(
            functions=[func(self._run, name=RUN)],
            queue_name=queue_key(queue),
            redis_pool=redis,
            handle_signals=False,
            max_jobs=slots.concurrency,
            job_timeout=TEN_YEARS_SECONDS,
            keep_result=0,
            max_tries=UNLIMITED,
            retry_jobs=False,
            log_results=False,
            poll_delay=POLL_SECONDS,
            queue_read_limit=max(READ_AT_LEAST, READ_PER_SLOT * slots.concurrency),
            health_check_interval=TEN_YEARS_SECONDS,
            job_serializer=encode_json,
            job_deserializer=decode_json,
        )
        self.in_progress_timeout_s = PICK_SECONDS
        self.sem = asyncio.BoundedSemaphore(UNLIMITED)

    @property
    def job_counter(self) -> int:
        return self._slots.used

    @job_counter.setter
    def job_counter(self, value: int) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """arq counts; `Slots.used` does not need it to."""

    @property
    def busy(self) -> int:
        """How many of this queue's jobs are running."""
        return sum(not job.done() for job in self.tasks.values())

    def wake(self) -> None:
        self._woken.set()

    async def main(self) -> None:
        """Pick work whenever woken, and once a second in case a wake-up was lost."""
        while True:
            async with self._slots.turn:  # in the order in which they were woken
                self._woken.clear()
                await self._poll_iteration()
            if self.allow_pick_jobs and not self._slots.paused:
                self._slots.looked_at[self._queue] = time.monotonic()
            with anyio.move_on_after(POLL_SECONDS):
                await self._woken.wait()

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        fresh = [job for job in job_ids if job.decode() not in self.tasks]
        async with self._slots.picking:
            if self.allow_pick_jobs and not self._slots.paused:
                used = self._slots.used
                await super().start_jobs(fresh)
                if self._slots.used > used:
                    self._slots.has_picked(self)

    async def run_job(self, job_id: str, score: int) -> None:
        """arq's bookkeeping around the task may fail with Redis. It is not needed, and `main` notices anyway."""
        try:
            await super().run_job(job_id, score)
        except UNAVAILABLE as error:
            log.warning("job %s: Redis went away around it: %s", job_id, error)

    def _release_sem_dec_counter_on_complete(self) -> None:
        super()._release_sem_dec_counter_on_complete()
        self._slots.wake()

    async def _run(self, ctx: dict[Any, Any], task_id: str, attempt: int) -> None:
        await self._handle(task_id, attempt)
