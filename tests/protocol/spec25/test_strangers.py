"""A server that cannot tell its callers apart."""

from __future__ import annotations

import httpx2

from tests.protocol.spec.stack import Stack, endpoint
from tests.protocol.spec25.conftest import Connect


async def test_nobody_lists_the_tasks_of_strangers(stack: Stack, connect: Connect, http: httpx2.AsyncClient):
    """basic/utilities/tasks#task-isolation-and-access-control: SHOULD NOT declare `tasks.list`.

    What is not declared is unknown (-32601); tasks are still found by their ids.
    """
    session = await connect(url=await endpoint(stack.serve(TASKS_ALLOW_UNAUTHENTICATED="true")))
    assert session.handshake["capabilities"]["tasks"] == {"cancel": {}, "requests": {"tools": {"call": {}}}}
    assert (await session.request("tasks/list")).code == -32601
    task_id = await session.create("succeed")
    assert (await session.fetch(task_id)).text == "done"
    assert (await session.request("tasks/cancel", {"taskId": task_id})).code == -32602
