"""Connections to Redis: what this project asks of them beyond what redis-py does."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import count
from typing import Any

from tasks_server.redis_client import connect


async def test_a_command_that_is_cancelled_ends_there_and_then(redis_url: str) -> None:
    """At whatever step of the event loop it happens, and the connection is not left with an unread answer."""
    client: Any = connect(redis_url)  # redis-py is only half typed
    try:
        await client.ping()
        tried = 0
        for tried in count():
            if not await is_cancelled_after(tried, client):
                break
            assert await client.echo("next") == b"next"
        assert tried > 1, "it was always done before it could be cancelled"
    finally:
        await client.aclose()


async def is_cancelled_after(steps: int, client: Any) -> bool:
    """Whether a command was cancelled after so many steps; False if it was done by then."""
    command = asyncio.ensure_future(client.echo("one"))
    for _ in range(steps):
        await asyncio.sleep(0)
    if command.done():
        return False
    command.cancel()
    with suppress(asyncio.CancelledError):
        await command
    assert command.cancelled(), f"a cancellation after {steps} steps got lost"
    return True
