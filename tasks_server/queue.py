"""Telling workers that a task waits: arq's jobs, written in one round trip for any number of tasks.

A job carries nothing but (task id, attempt). It may be lost, duplicated or late without harm: the claim in SQL
decides who runs what, and the dispatcher announces again whatever nobody claimed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix
from arq.jobs import serialize_job

from tasks_server.encoding import encode_json
from tasks_server.redis_client import HINT_SECONDS, UNAVAILABLE

log = logging.getLogger(__name__)

RUN = "run"
QUEUE_PREFIX = "tasks:queue:"
WAKE_PREFIX = "tasks:wake:"
# Missing after Redis has lost its memory: then every waiting task is announced again.
MARKER = "tasks:marker"
JOB_LIFETIME_MS = 30 * 24 * 60 * 60 * 1000
# A worker starts what is due by its own clock. Ours may be this much ahead without delaying anything.
CLOCK_TOLERANCE_MS = 10 * 60 * 1000


class Dispatch(NamedTuple):
    """A waiting task, and the queue its tool's workers listen to."""

    task_id: str
    attempt: int
    queue: str


def queue_key(queue: str) -> str:
    return QUEUE_PREFIX + queue


def wake_channel(queue: str) -> str:
    return WAKE_PREFIX + queue


def job_id(task_id: str, attempt: int) -> str:
    """A new attempt is a new job, so that nothing a dead worker left behind delays it."""
    return f"{task_id}:{attempt}"


class TaskQueue:
    """Enqueues by task id and attempt."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis

    async def enqueue(self, waiting: Iterable[Dispatch]) -> bool:
        """Announce waiting tasks and wake their workers. Announcing twice is harmless.

        False: Redis is not there; the dispatcher will announce them when it is.
        """
        now = int(time.time() * 1000)
        # redis-py leaves pipelines partly untyped.
        pipe: Any = self._redis.pipeline(transaction=False)
        queues: set[str] = set()
        for task_id, attempt, queue in waiting:
            job = job_id(task_id, attempt)
            payload = serialize_job(RUN, (task_id, attempt), {}, None, now, serializer=encode_json)
            pipe.set(job_key_prefix + job, payload, px=JOB_LIFETIME_MS, nx=True)
            pipe.zadd(queue_key(queue), {job: now - CLOCK_TOLERANCE_MS}, nx=True)
            queues.add(queue)
        for queue in queues:
            pipe.publish(wake_channel(queue), b"")
        try:
            async with asyncio.timeout(HINT_SECONDS):
                await pipe.execute()
        except UNAVAILABLE as error:
            log.warning(
                "Redis is not reachable, %s wait for the dispatcher: %s",
                ", ".join(sorted(queues)),
                str(error) or "it hangs",
            )
            return False
        return True

    async def forget(self, claimed: Dispatch) -> None:
        """Take a claimed task's job off its queue, so that no other worker looks at it. Best effort."""
        with suppress(*UNAVAILABLE):
            async with asyncio.timeout(HINT_SECONDS):
                await self._redis.zrem(queue_key(claimed.queue), job_id(claimed.task_id, claimed.attempt))

    async def put_back(self, task_id: str, attempt: int) -> None:
        """Let other workers pick what was picked but cannot be claimed here. Best effort."""
        with suppress(*UNAVAILABLE):
            async with asyncio.timeout(HINT_SECONDS):
                await self._redis.delete(in_progress_key_prefix + job_id(task_id, attempt))

    async def has_forgotten(self) -> bool:
        """Whether Redis came back empty (or is new) and nobody has said `caught_up` since."""
        return not await self._redis.exists(MARKER)

    async def caught_up(self) -> None:
        """Everything that waits is due for its announcement: nothing can be missed any more."""
        await self._redis.set(MARKER, b"1")
