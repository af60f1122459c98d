"""Streamed answers, and clients that do not wait for their end."""

from __future__ import annotations

import anyio
from starlette.types import Message

from tasks_server.protocol.answers import Final
from tasks_server.protocol.dialect import Outlet
from tasks_server.transport.sse import answering


async def nothing_comes() -> Message:
    await anyio.sleep_forever()
    raise AssertionError


async def test_work_for_a_client_that_has_gone_is_stopped_before_it_can_fail() -> None:
    """One of its tasks may just be telling something, to a stream that nobody reads any more."""
    ended_by: list[type[BaseException]] = []

    async def tell(outlet: Outlet) -> None:
        try:
            while True:
                await outlet.notify("notifications/progress", {})
        except BaseException as error:
            ended_by.append(type(error))
            raise

    async def work(outlet: Outlet) -> Final | None:
        async with anyio.create_task_group() as group:
            group.start_soon(tell, outlet)
        return None

    async with answering(work, nothing_comes, set()):
        await anyio.wait_all_tasks_blocked()  # the stream holds all it can
    assert ended_by == [anyio.get_cancelled_exc_class()]
