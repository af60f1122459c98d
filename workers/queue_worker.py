"""arq as the engine: waits for wake-ups, picks jobs, and hands (task id, attempt) to the runner.

What differs from a stock arq worker, and why (docs/architecture.md has the measurements):
- A wake-up over pub/sub starts work at once; the poll is only the fallback.
- All free slots are filled by one round trip, and nothing is written about a job that runs.
- Several queues share one worker's slots: there is one `QueueWorker` per queue, all over the same `Slots`.
- A job leaves the queue when its task is claimed. From then on the lease in SQL is the only lease, so arq's
  in-progress key needs to bridge just the moment between picking and claiming.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
from arq.connections import ArqRedis
from arq.worker import Worker, func

from tasks_server.encoding import decode_json, encode_json
from tasks_server.queue import RUN, TaskQueue, queue_key

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
HIDDEN_MS = 5_000
AHEAD_SECONDS = 0.02
WAITS_SECONDS = 0.25
LOOKS_AT_PER_SLOT = 4
LOOKS_AT_LEAST_AT = 100

Slot = AbstractAsyncContextManager[None]
Handle = Callable[[str, int, str, Slot], Awaitable[None]]
"""Takes task id, attempt, queue, and the slot that the tool is to run in."""


class NoSlot(Exception):
    """A task that was claimed ahead finds no slot to run in."""


class Slots:
    """How many tools this process runs at once, over all its queues.

    Tasks are claimed a little ahead, so that a slot does not stand empty while the next one is fetched; but only as
    many as are going to find a slot in a moment, by how fast tools have been ending: others could run them meanwhile.
    """

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self.workers: list[QueueWorker] = []
        self.paused = False
        # When each queue was last looked into, or found all slots taken; by the monotonic clock.
        self.looked_at: dict[str, float] = {}
        # Picking reserves a slot across several awaits, so one queue picks at a time.
        self.picking = asyncio.Lock()
        self.turn = asyncio.Lock()
        self._free = asyncio.Semaphore(concurrency)
        self._ends: deque[float] = deque(maxlen=concurrency)

    @property
    def wanted(self) -> int:
        """How many more tasks to claim. Counted from the jobs themselves, so that no failure can leak a slot."""
        return self.concurrency + self._ahead() - sum(worker.busy for worker in self.workers)

    def _ahead(self) -> int:
        since = time.monotonic() - self._ends[0] if self._ends else math.inf
        soon = int(len(self._ends) / max(since, AHEAD_SECONDS) * AHEAD_SECONDS)
        return min(soon, self.concurrency // 2)

    @asynccontextmanager
    async def slot(self, ended: Callable[[], None]) -> AsyncGenerator[None]:
        """One slot, as soon as there is one. What is left to do after it needs none; `ended` is told.

        Raises NoSlot when none becomes free for a while: what takes slots takes longer now than it did before.
        """
        try:
            async with asyncio.timeout(WAITS_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise NoSlot from None
        try:
            yield
        finally:
            self._free.release()
        self._ends.append(time.monotonic())
        ended()
        self.refill()

    def take_in(self, newcomer: QueueWorker) -> None:
        """Another worker picks from now on. What a failed one had started goes on, and counts until it is done."""
        self.workers = [worker for worker in self.workers if worker.allow_pick_jobs or worker.busy]
        self.workers.append(newcomer)

    def wake(self) -> None:
        """Let all queues look, in turn: the one that has picked last comes last."""
        for worker in self.workers:
            worker.wake()

    def refill(self) -> None:
        """There is a free slot. A queue that has been found empty says itself when that changes."""
        for worker in self.workers:
            if not worker.was_empty:
                worker.wake()

    def has_picked(self, worker: QueueWorker) -> None:
        if worker in self.workers:
            self.workers.remove(worker)
            self.workers.append(worker)


class QueueWorker(Worker):
    """An arq worker for one queue. Build a new one after it has failed: arq's state may be inconsistent."""

    def __init__(self, redis: ArqRedis, queue: str, slots: Slots, handle: Handle) -> None:
        self._queue = queue
        self._jobs = TaskQueue(redis)
        self._slots = slots
        self._handle = handle
        self._woken = asyncio.Event()
        self._ending: set[str] = set()
        # The last look has found less than there was room for.
        self.was_empty = False
        super().__init__(
            functions=[func(self._run, name=RUN)],
            queue_name=queue_key(queue),
            redis_pool=redis,
            handle_signals=False,
            max_jobs=slots.concurrency,
            keep_result=0,
            poll_delay=POLL_SECONDS,
            queue_read_limit=max(LOOKS_AT_LEAST_AT, LOOKS_AT_PER_SLOT * slots.concurrency),
            job_serializer=encode_json,
            job_deserializer=decode_json,
        )

    @property
    def busy(self) -> int:
        """How many of this queue's jobs have a slot, or want one. Those whose ends pile up count, too."""
        return len(self.tasks) - min(len(self._ending), self._slots.concurrency)

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

    async def _poll_iteration(self) -> None:
        async with self._slots.picking:
            wanted = self._slots.wanted
            if not self.allow_pick_jobs or self._slots.paused or wanted <= 0:
                return
            picked = await self._jobs.pick(
                self._queue, wanted, looks_at=self.queue_read_limit, hidden_ms=HIDDEN_MS
            )
            self.was_empty = len(picked) < wanted
            for job in picked:
                if job not in self.tasks:
                    self._begin(job)
            if picked:
                self._slots.has_picked(self)

    def _begin(self, job: str) -> None:
        def ended(_: object) -> None:
            del self.tasks[job]
            self._ending.discard(job)
            self._slots.refill()

        self.tasks[job] = self.loop.create_task(self.run_job(job, 0), name=f"job {job}")
        self.tasks[job].add_done_callback(ended)

    async def run_job(self, job_id: str, score: int) -> None:
        """Nothing of what arq writes about a running job is needed: its id says what to run, SQL what became of it."""
        task_id, _, attempt = job_id.rpartition(":")
        try:
            await self._run({"job": job_id}, task_id, int(attempt))
        except Exception:
            # The dispatcher announces it again, less and less often.
            log.exception("job %s has failed", job_id)
            await self._jobs.forget(self._queue, job_id)

    async def _run(self, ctx: dict[Any, Any], task_id: str, attempt: int) -> None:
        slot = self._slots.slot(lambda: self._ending.add(ctx["job"]))
        await self._handle(task_id, attempt, self._queue, slot)
