"""Streamable HTTP that survives what happens to servers.

In the SDK's own transport a connection that is refused or breaks ends the whole client, and with it all that it waits
for. Here a request is sent again until somebody answers: the same server after its restart, or another replica
behind the same address.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import anyio
import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CLIENT_CAPABILITIES_META_KEY, CONNECTION_CLOSED

from tasks_server.client.messages import IDEMPOTENCY_KEY, IDENTIFIER

PATIENCE_SECONDS = 60.0
TIMEOUT = httpx2.Timeout(30.0, read=300.0)  # as the SDK's own client has it: an open stream may be silent
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0

NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
GATEWAY_ERRORS = (502, 503, 504)


class SteadyHttpClient(httpx2.AsyncClient):
    """Sends again what got no answer, for patience_seconds; then the request fails with an MCPError.

    What may have arrived is sent again only if that does no harm: everything but `tools/call`, and `tools/call` with an
    idempotency key. Calls that may become tasks are given one, unless `keys` is False: for servers that start a
    call twice although its `Idempotency-Key` says that it is the same.

    The first request of a connection is not repeated: its failure tells the SDK that nobody is there.
    """

    def __init__(
        self, *, patience_seconds: float = PATIENCE_SECONDS, keys: bool = True, **options: Any
    ) -> None:
        options.setdefault("timeout", TIMEOUT)
        super().__init__(**options)
        self._patience_seconds = patience_seconds
        self._keys = keys

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        if not _belongs_to_a_connection(request):
            return await super().send(request, **options)
        if self._keys and _may_become_a_task(request):
            request.headers["Idempotency-Key"] = uuid4().hex
        return await self._send_until_answered(request, options)

    async def _send_until_answered(
        self, request: httpx2.Request, options: Mapping[str, Any]
    ) -> httpx2.Response:
        give_up_at = anyio.current_time() + self._patience_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                response = await self._send_once(request, options)
            except httpx2.TransportError as error:
                may_repeat = isinstance(error, NOT_SENT) or _is_repeatable(request)
                response = _failure(request, error)
            else:
                if response.status_code not in GATEWAY_ERRORS:
                    return response
                may_repeat = _is_repeatable(request)
            if not may_repeat or anyio.current_time() + pause > give_up_at:
                return response
            await response.aclose()
            await anyio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - not all clients at the same time
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _send_once(self, request: httpx2.Request, options: Mapping[str, Any]) -> httpx2.Response:
        response = await super().send(request, **options)
        if "text/event-stream" not in response.headers.get("content-type", ""):
            try:
                await response.aread()  # a body that breaks off is no answer either
            except BaseException:
                await response.aclose()
                raise
        return response


@asynccontextmanager
async def steady_http(url: str, http_client: SteadyHttpClient | None = None) -> AsyncGenerator[Any]:
    """A transport for `Client(…)`. Headers, authentication and patience are the http_client's, which stays open."""
    if http_client is not None:
        async with streamable_http_client(url, http_client=http_client) as streams:
            yield streams
        return
    async with SteadyHttpClient() as own, streamable_http_client(url, http_client=own) as streams:
        yield streams


def _belongs_to_a_connection(request: httpx2.Request) -> bool:
    """Whether the two sides have agreed on a protocol version before."""
    return "mcp-protocol-version" in request.headers and _method(request) != "server/discover"


def _method(request: httpx2.Request) -> str | None:
    """None in revisions before 2026-07-28, whose requests do not say."""
    return request.headers.get("mcp-method")


def _may_become_a_task(request: httpx2.Request) -> bool:
    if _method(request) != "tools/call":
        return False
    meta = _meta(request)
    capabilities = meta.get(CLIENT_CAPABILITIES_META_KEY, {})
    return IDENTIFIER in capabilities.get("extensions", {}) and IDEMPOTENCY_KEY not in meta


def _is_repeatable(request: httpx2.Request) -> bool:
    method = _method(request)
    if method == "tools/call":
        return "idempotency-key" in request.headers or IDEMPOTENCY_KEY in _meta(request)
    return method is not None or request.method == "GET"


def _meta(request: httpx2.Request) -> dict[str, Any]:
    return json.loads(request.content)["params"]["_meta"]


def _failure(request: httpx2.Request, error: httpx2.TransportError) -> httpx2.Response:
    """An answer that the SDK turns into an MCPError for whoever waits for this one request."""
    reason = (
        f"No answer from {request.url.copy_with(userinfo=b'', query=None)}: {error or type(error).__name__}"
    )
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": CONNECTION_CLOSED, "message": reason}}
    return httpx2.Response(503, json=body, request=request)
