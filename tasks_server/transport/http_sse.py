"""HTTP with SSE, the transport of 2024-11-05 (basic/transports), for clients that were given such a URL.

All answers come over the stream, and the POSTs may arrive at other processes than the one that holds it. Those pass
requests on, so that no answer has to travel: it may be large, and takes its time. Responses and notifications are
taken wherever they arrive.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tasks_server.errors import INTERNAL_ERROR, MessageUndelivered, RpcError
from tasks_server.protocol import jsonrpc
from tasks_server.protocol.answers import Final, failed, guarded
from tasks_server.protocol.bell import Bell
from tasks_server.protocol.jsonrpc import MalformedMessage
from tasks_server.protocol.parts import Parts
from tasks_server.protocol.v2025_11_25.dispatcher import Dispatcher
from tasks_server.protocol.v2025_11_25.revisions import LATEST
from tasks_server.protocol.v2025_11_25.session import Session
from tasks_server.seal import SealBroken
from tasks_server.sessions import SESSION_SECONDS
from tasks_server.transport.guards import accepts, caller_of
from tasks_server.transport.load import Admitted, Load, Overloaded
from tasks_server.transport.message_stream import MessageStream
from tasks_server.transport.replies import (
    EVENT_STREAM,
    body_or_refusal,
    come_back_later,
    json_response,
    refusal,
)
from tasks_server.transport.sse import answering

log = logging.getLogger(__name__)

MESSAGES = "/messages"
SESSION = "session_id"
"""The parameter's name is ours to choose; the official clients look for this one."""

RETRY_AFTER_MS = 1_000

_PURPOSE = "stream"


class SseEndpoint:
    """`GET /sse` as an ASGI application, and `POST /messages`. One per process.

    bells: of the streams that are open, to be rung when the server stops.
    """

    def __init__(self, parts: Parts, load: Load, max_request_bytes: int, bells: set[Bell]) -> None:
        self._parts = parts
        self._load = load
        self._dispatcher = Dispatcher(parts)
        self._max_request_bytes = max_request_bytes
        self._bells = bells
        self._streams: dict[str, MessageStream] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.method != "GET":
            await refusal(405, "The stream is opened by GET.", Allow="GET")(scope, receive, send)
        elif not accepts(request.headers.get("accept"), (EVENT_STREAM,)):
            await refusal(406, f"The client must accept {EVENT_STREAM}.")(scope, receive, send)
        else:
            await self._stream(request, send)

    async def post(self, request: Request) -> Response:
        """Take a message of a session whose stream is open, here or elsewhere."""
        try:
            admitted = self._load.admit()
        except Overloaded:
            return come_back_later()
        try:
            return await self._post(request, admitted)
        except Overloaded:
            return come_back_later()
        finally:
            admitted.release()

    async def _post(self, request: Request, admitted: Admitted) -> Response:
        body = await body_or_refusal(request, self._max_request_bytes, admitted)
        if isinstance(body, Response):
            return body
        session = self._session(request)
        if session is None:
            return refusal(404, "There is no such session; open a stream for a new one.")
        try:
            decoded = jsonrpc.decode(body)
            # A batch is looked at where it is answered: whether there may be one depends on the handshake.
            message = None if isinstance(decoded, list) else jsonrpc.read_message(decoded)
        except MalformedMessage as error:
            return json_response(failed(error.request_id, error), 400)
        request_id = message.id if isinstance(message, jsonrpc.Request) else None

        async def take() -> Response:
            stream = self._listening(session)
            if stream is None and await self._dispatcher.current(session) is None:
                return refusal(
                    404, "The stream of this session has ended; open another one for a new session."
                )
            if isinstance(message, jsonrpc.Notification | jsonrpc.Response):
                await self._dispatcher.receive(decoded, session)
            elif stream is not None:
                stream.post(decoded)
            else:
                await self._deliver(session, body)
            return Response(status_code=202)

        taken = await guarded(request_id, take)
        return _unavailable(taken) if isinstance(taken, Final) else taken

    async def _stream(self, request: Request, send: Send) -> None:
        session_id, owner = secrets.token_hex(16), caller_of(request)
        token = self._parts.seal.close(_PURPOSE, {"id": session_id, "owner": owner})
        endpoint = f"{MESSAGES}?{urlencode({SESSION: token})}"
        stream = MessageStream(self._parts, owner, session_id, endpoint)
        self._streams[session_id] = stream
        try:
            async with answering(stream.run, request.receive, self._bells, at_once=True) as current:
                await current.respond(request.scope, request.receive, send)
        finally:
            del self._streams[session_id]

    def _listening(self, session: Session) -> MessageStream | None:
        """The stream of the session, if this process holds it."""
        stream = self._streams.get(session.id)
        return stream if stream is not None and stream.is_listening else None

    async def _deliver(self, session: Session, body: bytes) -> None:
        try:
            await self._parts.session_mail.deliver(session.id, body)
        except MessageUndelivered as error:
            log.warning("A message for the stream of session %s is refused: %s", session.id, error)
            raise RpcError(INTERNAL_ERROR, str(error)) from None

    def _session(self, request: Request) -> Session | None:
        """Who sends a message. What the handshake has settled only matters to the process that holds the stream."""
        token, owner = request.query_params.get(SESSION, ""), caller_of(request)
        try:
            content = self._parts.seal.open(_PURPOSE, token, SESSION_SECONDS)
        except SealBroken:
            return None
        return Session(content["id"], owner, LATEST, {}) if content["owner"] == owner else None


def _unavailable(final: Final) -> Response:
    return json_response(replace(final, retry_after_ms=RETRY_AFTER_MS), 503)
