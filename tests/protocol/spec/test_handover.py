"""A server that stops while callers wait: they come back with the state it gives them, to any other server."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import calling, retried
from tests.protocol.spec.stack import Stack, endpoint
from tests.protocol.spec.wire import Wire


async def test_a_call_goes_on_elsewhere_without_being_started_again(
    stack: Stack, wire: Wire, other: Wire, notes: Notes
):
    stopping = stack.serve()
    leaving = replace(wire, url=await endpoint(stopping))
    call = calling("hold", notes.directory)
    async with leaving.stream(call) as stream:
        await notes.seen("started")
        stopped = asyncio.create_task(stopping.stop())
        result = (await stream.ended())["result"]
    assert result["resultType"] == "input_required"
    assert "inputRequests" not in result
    assert await stopped == 0
    notes.leave("go")
    assert (await other.send(retried(call, result))).text == "held"
    assert len(notes.lines("started")) == 1
    assert not notes.lines("stopped")
