"""After the last fault: whatever is still open must come to its end by itself, within a bounded time."""

from __future__ import annotations

from tests.soak import audit
from tests.soak.fleet import Fleet
from tests.soak.wire import Wire
from tests.support import redis_keys
from tests.support.waiting import wait_until

SETTLE_SECONDS = 90.0
ENDLESS_TOOLS = ("linger", "linger_deaf")
UNFINISHED = "SELECT id, name, status, lease_worker FROM task WHERE finished_at IS NULL"
OUTSTANDING = (
    "SELECT key FROM input_request WHERE task_id = :id AND response IS NULL AND withdrawn_at IS NULL"
)


async def settle(fleet: Fleet, wire: Wire) -> bool:
    """Wait until no task is open and no job is queued; False when that takes too long.

    A call whose answer was lost has left a task that nobody knows: its question is answered here, and what has no
    end is cancelled.
    """

    async def at_rest() -> bool:
        unfinished = await audit.select(fleet.database_url, UNFINISHED)
        for task in unfinished:
            if task["name"] in ENDLESS_TOOLS:
                await wire.request("tasks/cancel", task["id"], {"taskId": task["id"]})
            elif task["status"] == "input_required":
                await _answer(fleet, wire, task["id"])
        return not unfinished and not await fleet.aside(lambda: queued_jobs(fleet))

    try:
        await wait_until(at_rest, SETTLE_SECONDS, every=0.5, describing="everything is at rest")
    except AssertionError:
        return False
    return True


def queued_jobs(fleet: Fleet) -> list[str]:
    """The jobs that still lie in a queue."""
    client = redis_keys.connect(fleet.valkey.url)
    try:
        return [
            job
            for key in client.scan_iter("tasks:queue:*", _type="zset")
            for job in client.zrange(key, 0, -1)
        ]
    finally:
        client.close()


async def _answer(fleet: Fleet, wire: Wire, task_id: str) -> None:
    open_questions = await audit.select(fleet.database_url, OUTSTANDING, id=task_id)
    answer = {"action": "accept", "content": {"name": "nobody"}}
    responses = {row["key"]: answer for row in open_questions}
    await wire.request("tasks/update", task_id, {"taskId": task_id, "inputResponses": responses})
