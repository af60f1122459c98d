"""A streamed answer on its way to an HTTP client: one JSON body if it comes soon, else server-sent events.

The work runs in a task of its own, which ends with the connection: a client that hangs up cancels it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.types import Receive, Scope, Send

from tasks_server.protocol.answers import Final
from tasks_server.protocol.jsonrpc import encode_notification, encode_request

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0
"""How long a silent answer may take before the client is given a stream with signs of life."""

PING_SECONDS = 15
SEND_TIMEOUT_SECONDS = 30.0
"""A client that reads nothing for this long has gone."""

FAREWELL_SECONDS = 3.0
"""How long streams have to end properly when the server stops; uvicorn cuts what takes much longer."""

COME_BACK_MS = 500
"""How long a client that was sent away waits before it comes back. One whose server stops comes back at once."""

_BUFFERED_MESSAGES = 64


class HttpOutlet:
    """The way back to one client. The closing bell is rung by the server that stops.

    stream_seconds: after how long a client that knows where to come back is sent away, to come back.
    """

    def __init__(
        self, messages: MemoryObjectSendStream[bytes | Final], stream_seconds: float | None = None
    ) -> None:
        self._messages = messages
        self._stream_seconds = math.inf if stream_seconds is None else stream_seconds
        self._lasting = anyio.CancelScope()
        self._is_primed = False
        self.bell = anyio.Event()

    async def send(self, payload: bytes, *, event: str | None = None) -> None:
        """Send an event as it is; one without a name is a message."""
        named = b"" if event is None else b"event: " + event.encode() + b"\r\n"
        await self._messages.send(named + _event(payload))

    async def notify(self, method: str, params: dict[str, Any], mark: str | None = None) -> None:
        await self._messages.send(_event(encode_notification(method, params), mark))

    async def ask(
        self, request_id: str, method: str, params: dict[str, Any], mark: str | None = None
    ) -> None:
        await self._messages.send(_event(encode_request(request_id, method, params), mark))

    async def prime(self, mark: str) -> None:
        await self._messages.send(_event(b"", mark))
        self._is_primed = True
        self._lasting.deadline = anyio.current_time() + self._stream_seconds

    async def closing(self) -> None:
        with self._lasting:
            await self.bell.wait()

    async def end(self, final: Final | None) -> None:
        """The last message, or when to come back for it."""
        if final is not None:
            await self._messages.send(final)
        elif self._is_primed:
            pause_ms = 0 if self.bell.is_set() else COME_BACK_MS
            await self._messages.send(b"retry: %d\r\n\r\n" % pause_ms)


class Answering:
    """One streamed answer being worked on."""

    def __init__(self, bell: anyio.Event, messages: MemoryObjectReceiveStream[bytes | Final]) -> None:
        self._bell = bell
        self._messages = messages
        self._first = asyncio.ensure_future(messages.receive())

    @property
    def first(self) -> bytes | Final | None:
        """The first message, if it is there."""
        return self._first.result() if self._first.done() and self._first.exception() is None else None

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
            yield _framed(await self._first)
        async for message in self._messages:
            yield _framed(message)


@asynccontextmanager
async def answering(
    run: Callable[[HttpOutlet], Awaitable[Final | None]],
    receive: Receive,
    bells: set[anyio.Event],
    *,
    at_once: bool = False,
    stream_seconds: float | None = None,
) -> AsyncGenerator[Answering]:
    """Start working on an answer (`run`), and stop when the block is left. Its bell is in `bells` meanwhile.

    at_once: it is a stream whatever comes first. stream_seconds: see `HttpOutlet`.
    """
    sender, receiver = anyio.create_memory_object_stream[bytes | Final](_BUFFERED_MESSAGES)
    outlet = HttpOutlet(sender, stream_seconds)

    async def work() -> None:
        async with sender:
            await outlet.end(await run(outlet))

    running = asyncio.create_task(work())
    bells.add(outlet.bell)
    try:
        async with receiver:
            current = Answering(outlet.bell, receiver)
            try:
                if not at_once:
                    await current.begin(receive)
                yield current
            finally:
                await _stopped(running)  # before the stream closes: what still tells must not find it so
                await current.stop()
    finally:
        bells.discard(outlet.bell)


async def _stopped(running: asyncio.Future[Any]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _framed(message: bytes | Final) -> bytes:
    return _event(message.payload) if isinstance(message, Final) else message


def _event(payload: bytes, mark: str | None = None) -> bytes:
    named = b"" if mark is None else b"id: " + mark.encode() + b"\r\n"
    return named + b"data: " + payload + b"\r\n\r\n"
