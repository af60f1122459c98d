"""A streamed answer on its way to an HTTP client: one JSON body if it comes soon, else server-sent events.

The work runs in a task of its own, which ends with the connection: a client that hangs up cancels it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.types import Receive, Scope, Send

from tasks_server.protocol.answers import Final
from tasks_server.protocol.bell import Bell
from tasks_server.protocol.jsonrpc import encode_notification, encode_request
from tasks_server.transport.patience import DEPARTURE

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0
"""How long a silent answer may take before the client is given a stream with signs of life."""

PING_SECONDS = 15
SEND_TIMEOUT_SECONDS = 30.0
"""A client that reads nothing for this long has gone."""

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
        self._lasting = None if stream_seconds is None else anyio.CancelScope()
        self._stream_seconds = stream_seconds
        self._pinging: asyncio.TimerHandle | None = None
        self._is_primed = False
        self.bell = Bell()

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
        if self._lasting is not None and self._stream_seconds is not None:
            self._lasting.deadline = anyio.current_time() + self._stream_seconds

    async def closing(self) -> None:
        with self._lasting or nullcontext():
            await self.bell.wait()

    def stopping(self, stop: Callable[[], object]) -> AbstractContextManager[None]:
        return self.bell.calling(stop)

    def ping(self) -> None:
        """From now on show every now and then that the stream lives, until `stop_pinging`."""
        if self._pinging is not None:
            with suppress(anyio.WouldBlock, anyio.ClosedResourceError, anyio.BrokenResourceError):
                self._messages.send_nowait(b": ping\r\n\r\n")  # who has more to read has signs of life enough
        self._pinging = asyncio.get_running_loop().call_later(PING_SECONDS, self.ping)

    def stop_pinging(self) -> None:
        if self._pinging is not None:
            self._pinging.cancel()

    async def end(self, final: Final | None) -> None:
        """The last message, or when to come back for it."""
        if final is not None:
            await self._messages.send(final)
        elif self._is_primed:
            pause_ms = 0 if self.bell.is_set() else COME_BACK_MS
            await self._messages.send(b"retry: %d\r\n\r\n" % pause_ms)


class _Events(EventSourceResponse):
    """Sends from the task that it is called in. What else a stream has tasks for costs nothing here.

    Each of them would hold 7 KB: for pings there is a timer, for the server's end our own bell, and of a client
    that hangs up the connection tells.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        departure: Bell | None = scope.get("state", {}).get(DEPARTURE)
        if departure is None:  # another server than ours
            await super().__call__(scope, receive, send)
            return
        with anyio.CancelScope() as sending, departure.calling(sending.cancel):
            await self._stream_response(send)


class Answering:
    """One streamed answer being worked on."""

    def __init__(self, outlet: HttpOutlet, messages: MemoryObjectReceiveStream[bytes | Final]) -> None:
        self._outlet = outlet
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

    async def respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream everything to the client. Returns when it has it all, or has gone."""
        self._outlet.ping()
        try:
            await _Events(self._events(), ping=0, send_timeout=SEND_TIMEOUT_SECONDS)(scope, receive, send)
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
    bells: set[Bell],
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
            current = Answering(outlet, receiver)
            try:
                if not at_once:
                    await current.begin(receive)
                yield current
            finally:
                await _stopped(running)  # before the stream closes: what still tells must not find it so
                await current.stop()
    finally:
        outlet.stop_pinging()
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
