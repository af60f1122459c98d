"""The HTTP face: the MCP endpoint, health, and downloads of artifacts.

Streamable HTTP as of 2026-07-28 (basic/transports/streamable-http): one endpoint, POST only, one message in,
one JSON body or one event stream out, no sessions. What older clients send there goes to `sessions.py`; the oldest
have endpoints of their own, see `http_sse.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from tasks_server.errors import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_CLIENT_CAPABILITY,
    PARSE_ERROR,
    TOO_MANY_QUEUED,
    UNSUPPORTED_PROTOCOL_VERSION,
)
from tasks_server.protocol.answers import Accepted, Final, Streamed
from tasks_server.protocol.bell import Bell
from tasks_server.protocol.eras import has_handshake
from tasks_server.protocol.headers import PROTOCOL_VERSION, Headers
from tasks_server.protocol.jsonrpc import MalformedMessage, decode
from tasks_server.protocol.parts import Parts
from tasks_server.protocol.router import Router
from tasks_server.protocol.server_info import SERVER_INFO
from tasks_server.protocol.v2025_11_25.dispatcher import Dispatcher
from tasks_server.protocol.v2025_11_25.revisions import REVISIONS
from tasks_server.protocol.v2026_07_28.dialect import DIALECT, VERSION
from tasks_server.readiness import Readiness
from tasks_server.settings import Settings
from tasks_server.transport.downloads import ArtifactDownload
from tasks_server.transport.guards import (
    CrossOrigin,
    OriginGuard,
    accepts,
    caller_of,
)
from tasks_server.transport.http_sse import MESSAGES, SseEndpoint
from tasks_server.transport.load import BODIES, Admitted, Load, Overloaded
from tasks_server.transport.replies import (
    EVENT_STREAM,
    JSON,
    SESSION_ID,
    body_or_refusal,
    come_back_later,
    json_response,
    refusal,
)
from tasks_server.transport.sessions import SessionEndpoint
from tasks_server.transport.sse import answering

MCP = "/mcp"

WELCOME: Mapping[str, Any] = {
    "name": SERVER_INFO["name"],
    "version": SERVER_INFO["version"],
    "description": "A server of the Model Context Protocol. Give its endpoint to an MCP client.",
    "endpoint": MCP,
}

STATUS_OF_ERROR: Mapping[int | None, int] = {
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    INVALID_PARAMS: 400,
    METHOD_NOT_FOUND: 404,
    HEADER_MISMATCH: 400,
    MISSING_CLIENT_CAPABILITY: 400,
    UNSUPPORTED_PROTOCOL_VERSION: 400,
    TOO_MANY_QUEUED: 429,
}
"""Where the specification names no status the answer is 200: the exchange itself has worked."""

Look = Callable[[], Awaitable[Readiness]]


class McpEndpoint:
    """`/mcp` as an ASGI application, for clients with sessions and without."""

    def __init__(
        self,
        router: Router,
        sessions: SessionEndpoint,
        load: Load,
        max_request_bytes: int,
        stream_seconds: float | None = None,
    ) -> None:
        self._router = router
        self._sessions = sessions
        self._load = load
        self._max_request_bytes = max_request_bytes
        self._stream_seconds = stream_seconds
        self.bells: set[Bell] = set()

    def ring(self) -> None:
        """Tell every open stream that the server is about to stop."""
        for bell in list(self.bells):
            bell.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            admitted = self._load.admit()
        except Overloaded:
            await come_back_later()(scope, receive, send)
            return
        try:
            await self._respond(Request(scope, receive), admitted, send)
        finally:
            admitted.release()

    async def _respond(self, request: Request, admitted: Admitted, send: Send) -> None:
        scope, receive = request.scope, request.receive
        answer = await self._answer(request, admitted)
        if not isinstance(answer, Streamed):
            await answer(scope, receive, send)
            return
        at_once = request.method == "GET"
        async with answering(
            answer.run, receive, self.bells, at_once=at_once, stream_seconds=self._stream_seconds
        ) as current:
            admitted.release()
            if isinstance(current.first, Final):
                await _json(current.first)(scope, receive, send)
            else:
                await current.respond(scope, receive, send)

    async def _answer(self, request: Request, admitted: Admitted) -> Response | Streamed:
        if request.method == "POST":
            try:
                return _objection(request) or await self._post(request, admitted)
            except Overloaded:
                return come_back_later()
        if request.method in ("GET", "DELETE") and _is_of_session(request):
            return await (self._sessions.get if request.method == "GET" else self._sessions.delete)(request)
        return refusal(405, "The MCP endpoint takes POST; GET and DELETE are for sessions.", Allow="POST")

    async def _post(self, request: Request, admitted: Admitted) -> Response | Streamed:
        body = await body_or_refusal(request, self._max_request_bytes, admitted)
        if isinstance(body, Response):
            return body
        version = request.headers.get(PROTOCOL_VERSION)
        if version not in self._router.served:
            with suppress(MalformedMessage):
                decoded = decode(body)
                if has_handshake(decoded, version, names_session=SESSION_ID in request.headers):
                    return await self._sessions.post(request, decoded)
        match await self._router.receive(body, caller_of(request), Headers(request.headers.raw)):
            case Accepted():
                return Response(status_code=202)
            case Final() as final:
                return _json(final)
            case Streamed() as streamed:
                return streamed


class HttpApp(Starlette):
    """Everything this server answers over HTTP. `guarded` answers what is posted to `/mcp`, which is nearly all.

    Only the rest is led through Starlette's routes and what surrounds them, which costs more than the answers.
    """

    guarded: ASGIApp
    mcp: McpEndpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == MCP and scope["method"] == "POST":
            await self.guarded(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_http_app(
    parts: Parts, settings: Settings, look: Look, lifespan: Lifespan[Starlette] | None = None
) -> HttpApp:
    """look says what can be reached."""
    load = Load(settings.max_concurrent_requests, BODIES * settings.max_request_bytes)
    endpoint = McpEndpoint(
        Router(parts, [DIALECT]),
        SessionEndpoint(Dispatcher(parts)),
        load,
        settings.max_request_bytes,
        settings.stream_seconds,
    )
    streams = SseEndpoint(parts, load, settings.max_request_bytes, endpoint.bells)
    guards = [Middleware(OriginGuard, settings=settings), Middleware(CrossOrigin, settings=settings)]
    download = ArtifactDownload(parts.artifacts)

    async def welcome(request: Request) -> Response:
        return _plain_json(WELCOME)

    async def alive(request: Request) -> Response:
        return _plain_json({"status": "ok"})

    async def ready(request: Request) -> Response:
        found = await look()
        return _plain_json(found.as_object(), 200 if found.is_ready else 503)

    app = HttpApp(
        routes=[
            Route("/", welcome, methods=["GET"]),
            Route(MCP, endpoint, middleware=guards),
            Route("/sse", streams, middleware=guards),
            Route(MESSAGES, streams.post, methods=["POST"], middleware=guards),
            Route("/artifacts/{task_id}/{name:path}", download.download, methods=["GET"], middleware=guards),
            Route("/healthz", alive, methods=["GET"]),
            Route("/readyz", ready, methods=["GET"]),
        ],
        lifespan=lifespan,
    )
    app.mcp = endpoint
    app.guarded = OriginGuard(CrossOrigin(endpoint, settings), settings)
    return app


def _objection(request: Request) -> Response | None:
    if not accepts(request.headers.get("accept"), (JSON, EVENT_STREAM)):
        return refusal(406, f"The client must accept both {JSON} and {EVENT_STREAM}.")
    return None


def _is_of_session(request: Request) -> bool:
    version = request.headers.get(PROTOCOL_VERSION)
    return version in REVISIONS or (version != VERSION and SESSION_ID in request.headers)


def _json(final: Final) -> Response:
    return json_response(final, STATUS_OF_ERROR.get(final.error_code))


def _plain_json(content: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type=JSON)
