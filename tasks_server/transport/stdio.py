"""MCP over one pipe in each direction, a message a line (2026-07-28 and 2025-11-25 basic/transports, "stdio").

Every message says by itself which revision it belongs to, so one pipe may carry both. Requests are answered as they
come and as they are done; a client cancels one by a notification, because there is no stream of its own to close.
Whoever does not read is waited for, and not read from meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any, cast

from tasks_server.errors import INTERNAL_ERROR, INVALID_REQUEST, RpcError
from tasks_server.protocol.answers import Accepted, Final, Streamed, failed, guarded
from tasks_server.protocol.bell import Bell
from tasks_server.protocol.caller import ANONYMOUS
from tasks_server.protocol.eras import has_handshake
from tasks_server.protocol.jsonrpc import (
    MalformedMessage,
    Notification,
    Request,
    RequestId,
    decode,
    encode_notification,
    encode_request,
    read_message,
)
from tasks_server.protocol.v2025_11_25.connection import Connection, is_ping
from tasks_server.transport.lines import Line, LineReader, LineWriter

if TYPE_CHECKING:
    from tasks_server.protocol.router import Router
    from tasks_server.protocol.v2025_11_25.dispatcher import Dispatcher

CANCELLED = "notifications/cancelled"
INITIALIZED = "notifications/initialized"
LISTEN = "subscriptions/listen"
DISCOVER = "server/discover"

MOST_REQUESTS = 1_000
"""How many messages may be worked on at a time."""

LISTEN_AGAIN_SECONDS = 1.0
"""When what a session hears unasked was broken off: by the database, say."""


_UNASKED = object()


class StdioOutlet:
    """The way back to the client for one request. All share the pipe, which cannot be lost but with everything else."""

    def __init__(self, writer: LineWriter, bell: Bell) -> None:
        self._writer = writer
        self._bell = bell

    async def notify(self, method: str, params: dict[str, Any], mark: str | None = None) -> None:
        await self._writer.send(encode_notification(method, params))

    async def ask(
        self, request_id: str, method: str, params: dict[str, Any], mark: str | None = None
    ) -> None:
        await self._writer.send(encode_request(request_id, method, params))

    async def prime(self, mark: str) -> None:
        pass

    async def closing(self) -> None:
        await self._bell.wait()

    def stopping(self, stop: Callable[[], object]) -> AbstractContextManager[None]:
        return self._bell.calling(stop)


class StdioConnection:
    """One client, from its first line to its last.

    opening: answers what a client asks to get to know the server. Everything else waits until `serve`.
    """

    def __init__(self, reader: LineReader, writer: LineWriter, opening: Router) -> None:
        self._reader = reader
        self._writer = writer
        self._opening = opening
        self._router: Router | None = None
        self._served = asyncio.Event()
        self._session = Connection(ANONYMOUS)
        self._work: dict[object, asyncio.Task[None]] = {}
        self._requests_of_session: set[RequestId] = set()
        self._bell = Bell()
        self._outlet = StdioOutlet(writer, self._bell)

    @property
    def is_served(self) -> bool:
        """Whether everything is answered."""
        return self._served.is_set()

    def limit_lines(self, limit: int) -> None:
        """From now on the longest line may have so many bytes."""
        self._reader.limit = limit

    def serve(self, router: Router, dispatcher: Dispatcher) -> None:
        """From now on everything is answered."""
        self._router = router
        self._session.serve(dispatcher)
        self._served.set()

    async def run(self) -> None:
        """Take what the client sends, until it closes the pipe or reads no more."""
        reading = asyncio.create_task(self._read())
        broken = asyncio.create_task(self._writer.broken.wait())
        try:
            await asyncio.wait([reading, broken], return_when=asyncio.FIRST_COMPLETED)
        finally:
            broken.cancel()
            reading.cancel()
            await asyncio.gather(reading, broken, return_exceptions=True)

    async def close(self, grace_seconds: float, *, says_farewell: bool) -> None:
        """End what is still being answered, after a moment to come to its end by itself.

        says_farewell: the client is there and hears that its streams end.
        """
        if says_farewell:
            self._cancel_session()
            self._bell.set()
        await self._idle(grace_seconds)
        for work in list(self._work.values()):
            work.cancel()
        self._cancel_session()
        await self._idle(grace_seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self._writer.flush()

    def _cancel_session(self) -> None:
        """Calls of a session outlive a lost connection; but nobody can come back to this one."""
        for request_id in list(self._requests_of_session):
            self._start(object(), self._cancel_of_session(request_id))

    async def _idle(self, timeout_seconds: float) -> None:
        if self._work:
            await asyncio.wait(self._work.values(), timeout=timeout_seconds)

    async def _read(self) -> None:
        async for line in self._reader.lines():
            if isinstance(line, Line):
                reason = f"The message is longer than {self._reader.limit} bytes."
                await self._send(failed(None, RpcError(INVALID_REQUEST, reason)))
            else:
                try:
                    await self._take(decode(line))
                except MalformedMessage as error:
                    await self._send(failed(error.request_id, error))
            await self._writer.room()

    async def _take(self, decoded: Any) -> None:
        if has_handshake(decoded, None, names_session=self._session.is_open or is_ping(decoded)):
            await self._take_of_session(decoded)
            return
        match read_message(decoded):
            case Request() as request:
                await self._begin(request.id, self._answer(request))
            case Notification(method, params) if method == CANCELLED:
                self._cancel(params.get("requestId"))
            case _:
                pass

    async def _take_of_session(self, decoded: Any) -> None:
        """One message, or a batch, that is in a session or begins one."""
        if is_ping(decoded) and isinstance(ping := read_message(decoded), Request) and ping.id in self._work:
            await self._send(_in_use(ping.id))
            return
        if not self._session.is_open or is_ping(decoded):
            await self._finish(await self._session.receive(decoded))  # at once: the next may depend on it
            return
        message = None if isinstance(decoded, list) else read_message(decoded)
        match message:
            case Request(request_id):
                if await self._begin(request_id, self._answer_of_session(decoded, request_id)):
                    self._requests_of_session.add(request_id)
            case Notification(method, params) if method == CANCELLED:
                request_id = params.get("requestId")
                if not self._cancel(request_id, but=self._requests_of_session):
                    await self._begin(object(), self._cancel_of_session(request_id))
            case Notification(method) if method == INITIALIZED:
                if _UNASKED not in self._work:
                    self._start(_UNASKED, self._tell_unasked())
            case None:
                await self._begin(object(), self._answer_of_session(decoded, None))
            case _:
                await self._begin(object(), self._hand_over(decoded))

    async def _begin(self, key: object, work: Coroutine[Any, Any, None]) -> bool:
        """Work on a message beside the others, unless its id or their number forbids it."""
        request_id = key if isinstance(key, str | int) else None
        if key in self._work:
            refusal = _in_use(key)
        elif len(self._work) >= MOST_REQUESTS:
            reason = f"{MOST_REQUESTS} messages are being worked on already; wait for some of them."
            refusal = failed(request_id, RpcError(INTERNAL_ERROR, reason))
        else:
            self._start(key, work)
            return True
        work.close()
        await self._send(refusal)
        return False

    def _start(self, key: object, work: Coroutine[Any, Any, None]) -> None:
        def done(_: object) -> None:
            del self._work[key]
            self._requests_of_session.discard(cast("RequestId", key))

        self._work[key] = asyncio.create_task(work)
        self._work[key].add_done_callback(done)

    def _cancel(self, request_id: object, but: set[RequestId] | None = None) -> bool:
        """Stop answering a request, if it is one and not one of those; whether it was."""
        if not isinstance(request_id, str | int) or isinstance(request_id, bool):
            return False
        if request_id not in self._work or (but and request_id in but):
            return False
        self._work[request_id].cancel()
        return True

    async def _cancel_of_session(self, request_id: object) -> None:
        """Cancel the call in the record, too: its task does not end with the waiting."""
        if self._served.is_set():
            params = {"requestId": request_id}
            await self._hand_over({"jsonrpc": "2.0", "method": CANCELLED, "params": params})
        self._cancel(request_id)

    async def _answer(self, request: Request) -> None:
        if request.method != DISCOVER:
            await self._served.wait()
        router = self._router if self._router is not None else self._opening
        await self._finish(await router.answer(request, ANONYMOUS, None))
        if request.method == LISTEN and self._bell.is_set():
            await self._outlet.notify(CANCELLED, {"requestId": request.id})

    async def _answer_of_session(self, decoded: Any, request_id: RequestId | None) -> None:
        await self._served.wait()
        await self._finish(await guarded(request_id, lambda: self._session.receive(decoded)))

    async def _hand_over(self, decoded: Any) -> None:
        """What wants no answer, and gets none when it cannot be dealt with either."""
        await self._served.wait()
        await guarded(None, lambda: self._session.receive(decoded))

    async def _tell_unasked(self) -> None:
        await self._served.wait()
        while not self._bell.is_set():
            stream = await self._session.standing()
            if stream is not None:
                await stream.run(self._outlet)
            with suppress(TimeoutError):
                async with asyncio.timeout(LISTEN_AGAIN_SECONDS):
                    await self._bell.wait()

    async def _finish(self, answer: Accepted | Final | Streamed) -> None:
        final = await answer.run(self._outlet) if isinstance(answer, Streamed) else answer
        if isinstance(final, Final):
            await self._send(final)

    async def _send(self, final: Final) -> None:
        await self._writer.send(final.payload)


def _in_use(request_id: object) -> Final:
    """Without the id: it would be taken for the answer to the request that has it."""
    reason = f"The request id {request_id!r} is in use; each request needs an id of its own."
    return failed(None, RpcError(INVALID_REQUEST, reason))
