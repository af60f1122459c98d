"""Telling workers that a task waits: arq's jobs, written in one round trip for any number of tasks.

A job carries nothing but (task id, attempt). It may be lost, duplicated or late without harm: the claim in SQL
decides who runs what, and the dispatcher announces again whatever nobody claimed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix
from arq.jobs import serialize_job

from tasks_server.batch import Batch
from tasks_server.encoding import encode_json
from tasks_server.redis_client import HINT_SECONDS, UNAVAILABLE

log = logging.getLogger(__name__)

RUN = "run"
QUEUE_PREFIX = "tasks:queue:"
SHARES_PREFIX = "tasks:shares:"
WAKE_PREFIX = "tasks:wake:"
# Missing after Redis has lost its memory: then every waiting task is announced again.
MARKER = "tasks:marker"
JOB_LIFETIME_MS = 30 * 24 * 60 * 60 * 1000
# What one task moves its owner back in a queue. A newcomer moves the queue on by 1, so that an endless stream of
# newcomers holds everybody else up by at most this many of them per task.
TURN = 16

# Start-time fair queueing. A job's score is no time but its turn: one TURN after the last turn of its owner, or,
# for an owner who has nothing waiting, right behind what is being started at the moment. So owners take turns,
# whoever came first and however much somebody has announced. Scores stay far below any clock, so that arq takes
# every job as due, however wrong the clock of a server or worker is.
# "" in the shares is how far the queue has come; an owner's share is his last turn, kept while it matters.
ANNOUNCE = """
local turn, lifetime = tonumber(ARGV[1]), ARGV[2]
local come = {}
local function progress(queue, shares)
    local reached = tonumber(redis.call('ZSCORE', shares, '') or 0)
    local head = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
    if head[2] then
        reached = math.max(reached, tonumber(head[2]) - turn)
    else
        local highest = redis.call('ZREVRANGE', shares, 0, 0, 'WITHSCORES')
        reached = math.max(reached, tonumber(highest[2] or 0))
    end
    redis.call('ZREMRANGEBYSCORE', shares, '-inf', reached - turn)
    return reached
end
for at = 3, #ARGV, 4 do
    local name, owner, job, payload = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local queue, shares = KEYS[1] .. name, KEYS[2] .. name
    come[name] = come[name] or progress(queue, shares)
    redis.call('SET', KEYS[3] .. job, payload, 'PX', lifetime, 'NX')
    if not redis.call('ZSCORE', queue, job) then
        local last = redis.call('ZSCORE', shares, 'o' .. owner)
        local score = come[name] + 1
        if last and last + turn > score then
            score = last + turn
        else
            come[name] = score
        end
        redis.call('ZADD', queue, score, job)
        redis.call('ZADD', shares, score, 'o' .. owner)
    end
end
for name, reached in pairs(come) do
    redis.call('ZADD', KEYS[2] .. name, reached, '')
    redis.call('PEXPIRE', KEYS[2] .. name, lifetime)
    redis.call('PUBLISH', KEYS[4] .. name, '')
end
"""


# What arq does with four round trips for each job: the first of the queue that nobody has picked yet, in its order.
# Whoever has picked a job hides it for a moment by arq's own key.
PICK = """
local picked = {}
for _, job in ipairs(redis.call('ZRANGE', KEYS[1], 0, ARGV[2] - 1)) do
    if #picked == tonumber(ARGV[1]) then break end
    if redis.call('SET', KEYS[2] .. job, '1', 'NX', 'PX', ARGV[3]) then
        table.insert(picked, job)
    end
end
return picked
"""


class Dispatch(NamedTuple):
    """A waiting task, the queue its tool's workers listen to, and who takes turns with whom."""

    task_id: str
    attempt: int
    queue: str
    owner: str


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
        # redis-py leaves scripts partly untyped.
        self._announce: Any = redis.register_script(ANNOUNCE)
        self._pick: Any = redis.register_script(PICK)
        self._forgetting: Batch[tuple[str, str], None] = Batch(self._forget)

    async def enqueue(self, waiting: Iterable[Dispatch]) -> bool:
        """Announce waiting tasks and wake their workers. Announcing twice is harmless, and changes no turn.

        False: Redis is not there; the dispatcher will announce them when it is.
        """
        now = int(time.time() * 1000)
        arguments: list[str | bytes | int] = [TURN, JOB_LIFETIME_MS]
        queues: set[str] = set()
        for task_id, attempt, queue, owner in waiting:
            payload = serialize_job(RUN, (task_id, attempt), {}, None, now, serializer=encode_json)
            arguments += (queue, owner, job_id(task_id, attempt), payload)
            queues.add(queue)
        if not queues:
            return True
        try:
            async with asyncio.timeout(HINT_SECONDS):
                await self._announce(
                    keys=(QUEUE_PREFIX, SHARES_PREFIX, job_key_prefix, WAKE_PREFIX), args=arguments
                )
        except UNAVAILABLE as error:
            log.warning(
                "Redis is not reachable, %s wait for the dispatcher: %s",
                ", ".join(sorted(queues)),
                str(error) or "it hangs",
            )
            return False
        return True

    async def pick(self, queue: str, limit: int, *, looks_at: int, hidden_ms: int) -> Sequence[str]:
        """Ids of the first jobs that nobody has picked, at most `limit`; nobody else picks them for a while.

        looks_at: how far behind the head of the queue. hidden_ms: its worker may die before it claims the task.
        Picking twice is harmless, because the claim decides.
        """
        keys = (queue_key(queue), in_progress_key_prefix)
        picked: list[bytes] = await self._pick(keys=keys, args=(limit, looks_at, hidden_ms))
        return [job.decode() for job in picked]

    def forget(self, queue: str, job: str) -> asyncio.Future[None]:
        """Take a job that is claimed, or void, off its queue, so that no worker looks at it. Best effort.

        Need not be waited for.
        """
        return self._forgetting.begin((queue, job))

    async def _forget(self, jobs: Sequence[tuple[str, str]]) -> Sequence[None]:
        by_queue: defaultdict[str, list[str]] = defaultdict(list)
        for queue, job in jobs:
            by_queue[queue].append(job)
        pipe: Any = self._redis.pipeline(transaction=False)
        for queue, ids in by_queue.items():
            pipe.zrem(queue_key(queue), *ids)
            pipe.delete(*(prefix + job for job in ids for prefix in (job_key_prefix, in_progress_key_prefix)))
        with suppress(*UNAVAILABLE):
            async with asyncio.timeout(HINT_SECONDS):
                await pipe.execute()
        return [None] * len(jobs)

    async def put_back(self, job: str) -> None:
        """Let other workers pick what was picked but cannot be claimed here. Best effort."""
        with suppress(*UNAVAILABLE):
            async with asyncio.timeout(HINT_SECONDS):
                await self._redis.delete(in_progress_key_prefix + job)

    async def has_forgotten(self) -> bool:
        """Whether Redis came back empty (or is new) and nobody has said `caught_up` since."""
        return not await self._redis.exists(MARKER)

    async def caught_up(self) -> None:
        """Everything that waits is due for its announcement: nothing can be missed any more."""
        await self._redis.set(MARKER, b"1")
