"""What a worker has picked, and does not claim, is there for others soon."""

from __future__ import annotations

from typing import Any

from tests.races.working import settled, working
from tests.store.interleaving import locked
from tests.store.record import Record
from tests.support.waiting import wait_until
from workers import tool


async def test_a_picked_job_is_hidden_for_seconds_only(record: Record, another: Record):
    """Its worker may die before the claim. Another one may pick it too: the claim decides who has the task."""
    redis: Any = another.redis  # which leaves this command partly untyped

    @tool(description="Is quick.")
    async def work() -> str:
        return "done"

    async with working(record, work):
        task = await another.create(name="work", arguments="{}", queue="later")
        await another.sql("UPDATE task SET queue = 'default' WHERE id = :id", id=task.id)
        key = f"arq:in-progress:{task.id}:0"
        async with locked(another, task.id):
            await another.announcer.waiting([await record.task(task.id)])

            async def hidden_for_ms() -> int:
                left: int = await redis.pttl(key)
                return max(left, 0)

            left = await wait_until(hidden_for_ms, describing="the job is picked, and cannot be claimed")
        assert left <= 5_000
        await settled(record, task.id, 20)
