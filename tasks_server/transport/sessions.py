"""The MCP endpoint for clients with sessions (2025-11-25 basic/transports, "Streamable HTTP"): POST, GET, DELETE."""

from __future__ import annotations

from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from tasks_server.protocol import jsonrpc
from tasks_server.protocol.answers import Accepted, Final, Streamed, failed
from tasks_server.protocol.headers import PROTOCOL_VERSION, Headers
from tasks_server.protocol.jsonrpc import MalformedMessage
from tasks_server.protocol.v2025_11_25.dispatcher import HANDSHAKE, Dispatcher
from tasks_server.protocol.v2025_11_25.revisions import REVISIONS
from tasks_server.protocol.v2025_11_25.session import Session
from tasks_server.transport.guards import accepts, caller_of
from tasks_server.transport.replies import EVENT_STREAM, SESSION_ID, json_response, refusal

LAST_EVENT_ID = "Last-Event-ID"


class SessionEndpoint:
    """Answers with a response, or with work to be streamed."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    async def post(self, request: Request, decoded: Any) -> Response | Streamed:
        """One message, or a batch."""
        if isinstance(decoded, dict) and cast("dict[str, Any]", decoded).get("method") == HANDSHAKE:
            return await self._begin(request, decoded)
        session = await self._session(request)
        if isinstance(session, Response):
            return session
        match await self._dispatcher.receive(decoded, session, Headers(request.headers.raw)):
            case Accepted():
                return Response(status_code=202)
            case Final() as final:
                return json_response(final)
            case Streamed() as streamed:
                return streamed

    async def get(self, request: Request) -> Response | Streamed:
        """The stream of a session, or the rest of one that answers a request."""
        if not accepts(request.headers.get("accept"), (EVENT_STREAM,)):
            return refusal(406, f"The client must accept {EVENT_STREAM}.")
        session = await self._session(request)
        if isinstance(session, Response):
            return session
        # An empty one means that no event with an id has come yet.
        streamed = await self._dispatcher.listen(session, request.headers.get(LAST_EVENT_ID) or None)
        return streamed or refusal(400, f"{LAST_EVENT_ID} is not the id of an event of this server.")

    async def delete(self, request: Request) -> Response:
        session = await self._session(request)
        if isinstance(session, Response):
            return session
        await self._dispatcher.end(session)
        return Response(status_code=204)

    async def _begin(self, request: Request, decoded: Any) -> Response:
        try:
            message = jsonrpc.read_message(decoded)
        except MalformedMessage as error:
            return json_response(failed(error.request_id, error), 400)
        if not isinstance(message, jsonrpc.Request):
            return refusal(400, f"{HANDSHAKE} is a request: it needs an id.")
        _, answer = await self._dispatcher.begin(message, caller_of(request))
        return json_response(answer)

    async def _session(self, request: Request) -> Session | Response:
        token = request.headers.get(SESSION_ID)
        if token is None:
            return refusal(400, f"The header {SESSION_ID} is missing; send `{HANDSHAKE}` first.")
        version = request.headers.get(PROTOCOL_VERSION)
        if version is not None and version not in REVISIONS:
            return refusal(400, f"{PROTOCOL_VERSION} {version!r} is not served in sessions.")
        session = await self._dispatcher.open(token, caller_of(request))
        return session or refusal(404, f"There is no such session; send `{HANDSHAKE}` for a new one.")
