"""One stream of the HTTP+SSE transport: the far end of everything that its client posts, to whichever replica.

To the protocol it is a pipe: there is one way back for all answers, and who has lost it has lost the session.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, cast

import anyio
from anyio.abc import TaskGroup

from tasks_server.protocol.answers import Final, Streamed
from tasks_server.protocol.jsonrpc import RequestId, decode, encode_request, is_request_id
from tasks_server.protocol.parts import Parts
from tasks_server.protocol.v2025_11_25.connection import Connection
from tasks_server.protocol.v2025_11_25.dispatcher import CANCELLATION, Dispatcher
from tasks_server.protocol.wishes import IDEMPOTENCY_KEY
from tasks_server.session_news import Following
from tasks_server.signals import SessionMessage
from tasks_server.store.outage import is_outage
from tasks_server.transport.sse import HttpOutlet

ENDPOINT_EVENT = "endpoint"

PARTING_SECONDS = 5.0
"""How long a stream that has ended may take to tidy up."""

log = logging.getLogger(__name__)


class MessageOutlet:
    """The way back to the client. Its clients come back to no stream, so marks mean nothing."""

    def __init__(self, http: HttpOutlet) -> None:
        self._http = http

    async def send(self, final: Final) -> None:
        await self._http.send(final.payload)

    async def notify(self, method: str, params: dict[str, Any], mark: str | None = None) -> None:
        await self._http.notify(method, params)

    async def ask(
        self, request_id: str, method: str, params: dict[str, Any], mark: str | None = None
    ) -> None:
        await self._http.send(encode_request(request_id, method, params))

    async def prime(self, mark: str) -> None:
        pass

    async def closing(self) -> None:
        await self._http.bell.wait()

    def stopping(self, stop: Callable[[], object]) -> AbstractContextManager[None]:
        return self._http.stopping(stop)


class MessageStream:
    """The requests of one session, being answered. endpoint: where its client posts them.

    is_listening: whether anything is taken; not any more once the client has gone or the server stops.
    """

    def __init__(self, parts: Parts, owner: str, session_id: str, endpoint: str) -> None:
        self._parts = parts
        self._owner = owner
        self._session_id = session_id
        self._endpoint = endpoint
        self._connection = Connection(
            owner, session_id=session_id, tells_callers_apart=parts.tells_callers_apart
        )
        self._connection.serve(Dispatcher(parts))
        self._posted: asyncio.Queue[Any] = asyncio.Queue()
        self._unanswered: set[RequestId] = set()
        self._has_standing = False
        self.is_listening = False

    def post(self, decoded: Any) -> None:
        """Take a request or a batch that has come to this process."""
        self._posted.put_nowait(decoded)

    async def run(self, http: HttpOutlet) -> None:
        """Answer what comes, until the client has gone or the server stops."""
        outlet = MessageOutlet(http)
        try:
            async with (
                self._parts.session_news.follow(self._session_id) as news,
                anyio.create_task_group() as answering,
                anyio.create_task_group() as listening,
            ):
                self.is_listening = True
                listening.start_soon(self._fetch, news)
                listening.start_soon(self._take, outlet, answering)
                await http.send(self._endpoint.encode(), event=ENDPOINT_EVENT)
                await outlet.closing()
                # What is being answered hears of it too, and comes to its end.
                self.is_listening = False
                listening.cancel_scope.cancel()
        finally:
            self.is_listening = False
            with anyio.move_on_after(PARTING_SECONDS, shield=True):
                await self._part()

    async def _fetch(self, news: Following) -> None:
        """Get what has come to other processes."""
        while True:
            message = await news.next()
            if isinstance(message, SessionMessage):
                content = await self._parts.session_mail.take(message)
                if content is not None:
                    self.post(decode(content))

    async def _take(self, outlet: MessageOutlet, answering: TaskGroup) -> None:
        while True:
            answering.start_soon(self._answer, await self._posted.get(), outlet)

    async def _answer(self, decoded: Any, outlet: MessageOutlet) -> None:
        waited_for = _waited_for(decoded)
        self._unanswered |= waited_for
        try:
            answer = await self._connection.receive(decoded)
            final = await answer.run(outlet) if isinstance(answer, Streamed) else answer
            if isinstance(final, Final):
                await outlet.send(final)
        except Exception as error:
            _report(error, "A message of a session could not be answered")
        self._unanswered -= waited_for
        await self._stand(outlet)

    async def _stand(self, outlet: MessageOutlet) -> None:
        """Once there is a session, tell the client what it hears without asking."""
        standing = await self._connection.standing()
        if standing is not None and not self._has_standing:
            self._has_standing = True
            await standing.run(outlet)

    async def _part(self) -> None:
        """End the session. Calls whose answers can reach nobody any more are cancelled, as if their client did it."""
        try:
            for request_id in self._unanswered:
                params = {"requestId": request_id}
                await self._connection.receive({"jsonrpc": "2.0", "method": CANCELLATION, "params": params})
            await self._parts.sessions.end(self._session_id, self._owner)
        except Exception as error:
            _report(error, "A session that is over could not be ended")


def _waited_for(decoded: Any) -> set[RequestId]:
    """The requests that nobody could ask for again; what has an idempotency key can be."""
    messages = cast("list[Any]", decoded) if isinstance(decoded, list) else [decoded]
    requests = [cast("dict[str, Any]", each) for each in messages if isinstance(each, dict)]
    return {
        request["id"]
        for request in requests
        if is_request_id(request.get("id")) and not _has_key(request.get("params"))
    }


def _has_key(params: Any) -> bool:
    meta = cast("dict[str, Any]", params).get("_meta") if isinstance(params, dict) else None
    return isinstance(meta, dict) and IDEMPOTENCY_KEY in meta


def _report(error: Exception, what: str) -> None:
    if is_outage(error):
        log.warning("%s, the database is away: %s", what, error)
    else:
        log.error(what, exc_info=error)
