"""A streamed answer on its way to an HTTP client: one JSON body if it comes soon, else server-sent events.

The work runs in a task of its own, which ends with the connection: a client that hangs up cancels it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.types import Receive, Scope, Send

from tasks_server.protocol.answers import Final, Streamed
from tasks_server.protocol.jsonrpc import encode_notification, encode_request

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0
"""How long a silent answer may take before the client is given a stream with signs of life."""

PING_SECONDS = 15
SEND_TIMEOUT_SECONDS = 30.0
"""A client that reads nothing for this long has gone."""

FAREWELL_SECONDS = 3.0
"""How long streams have to end properly when the server stops; uvicorn cuts what takes much longer."""

_BUFFERED_MESSAGES = 64


class HttpOutlet:
    """The way back to one client. The closing bell is rung by the server that stops."""

    def __init__(self, messages: MemoryObjectSendStream[bytes | Final]) -> None:
        self._messages = messages
        self.bell = anyio.Event()

    async def notify(self, method: str, params: dict[str, Any], mark: str | None = None) -> None:
        await self._messages.send(encode_notification(method, params))

    async def ask(
        self, request_id: str, method: str, params: dict[str, Any], mark: str | None = None
    ) -> None:
        await self._messages.send(encode_request(request_id, method, params))

    async def prime(self, mark: str) -> None:
        pass

    async def closing(self) -> None:
        await self.bell.wait()


class Answering:
    """One streamed answer being worked on."""

    def __init__(self, bell: anyio.Event, messages: MemoryObjectReceiveStream[bytes | Final]) -> None:
        self._bell = bell
        self._messages = messages
        self._first = asyncio.ensure_future(messages.receive())

    @property
    def first(self) -> bytes | Final | None:
        """The first message, if it is there."""
        return self._first.result() if self._first.done() else None

    async def begin(self, receive: Receive) -> None:
        """Wait for the first message, until patience ends or the client goes."""
        gone = asyncio.ensure_future(_disconnected(receive))
        await asyncio.wait([self._first, gone], timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        await _stopped(gone)

    async def stop(self) -> None:
        await _stopped(self._first)

    def response(self) -> EventSourceResponse:
        return EventSourceResponse(
            self._events(),
            ping=PING_SECONDS,
            send_timeout=SEND_TIMEOUT_SECONDS,
            shutdown_event=self._bell,
            shutdown_grace_period=FAREWELL_SECONDS,
        )

    async def respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream everything to the client. Returns when it has it all, or has gone."""
        try:
            await self.response()(scope, receive, send)
        except SendTimeoutError:
            log.info("A client has not read its stream for %s s; it is closed", SEND_TIMEOUT_SECONDS)

    async def _events(self) -> AsyncGenerator[bytes]:
        with suppress(anyio.EndOfStream):
            yield _event(await self._first)
        async for message in self._messages:
            yield _event(message)


@asynccontextmanager
async def answering(
    streamed: Streamed, receive: Receive, bells: set[anyio.Event]
) -> AsyncGenerator[Answering]:
    """Start working on an answer, and stop when the block is left. Its bell is in `bells` meanwhile."""
    sender, receiver = anyio.create_memory_object_stream[bytes | Final](_BUFFERED_MESSAGES)
    outlet = HttpOutlet(sender)

    async def work() -> None:
        async with sender:
            final = await streamed.run(outlet)
            if final is not None:
                await sender.send(final)

    running = asyncio.create_task(work())
    bells.add(outlet.bell)
    try:
        async with receiver:
            current = Answering(outlet.bell, receiver)
            try:
                await current.begin(receive)
                yield current
            finally:
                await current.stop()
    finally:
        bells.discard(outlet.bell)
        await _stopped(running)


async def _stopped(running: asyncio.Future[Any]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(message: bytes | Final) -> bytes:
    payload = message.payload if isinstance(message, Final) else message
    return b"data: " + payload + b"\r\n\r\n"
