"""A server that stops while somebody waits: the client is told to come back, and misses nothing."""

from __future__ import annotations

import signal

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.stack import Stack, endpoint
from tests.protocol.spec25.answering import ASK
from tests.protocol.spec25.session import Session


async def test_streams_of_a_server_that_stops_are_resumed_elsewhere(
    stack: Stack, session: Session, notes: Notes
):
    """basic/transports#sending-messages-to-the-server: close the connection after a `retry`, not the stream."""
    server = stack.serve()
    stopping = session.at(await endpoint(server))
    asking = await session.create("ask_twice", notes.directory)
    async with (
        stopping.stream(stopping.calling("hold", notes.directory)) as call,
        stopping.stream(stopping.fetching(asking)) as waiting,
    ):
        await notes.seen("started")
        question = await waiting.next(ASK)
        await call.primed()
        server.send(signal.SIGTERM)
        await call.end()
        await waiting.end()
    for stream in (call, waiting):
        assert stream.responses == []
        assert "retry" in {name for event in stream.events for name in event.names}
    assert await server.ended() == 0
    async with session.listen(after=waiting.ids[0]) as resumed:
        assert await resumed.next(ASK) == question
        await session.accept(question, name="Ada")
        await session.accept(await resumed.next(ASK), ok=True)
        assert (await resumed.reply()).text == "Ada: True"
    notes.leave("go")
    async with session.listen(after=call.ids[-1]) as resumed:
        assert (await resumed.reply()).text == "held"
