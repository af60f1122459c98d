"""A load balancer that never sticks: each request goes to the next server, whoever sent it and whatever it is.

Run as `python -m tests.support.round_robin URL URL …`; prints where it listens. Chunks pass as they come, and
when either end hangs up, so does the other. A server that cannot be reached is passed over.
"""

from __future__ import annotations

import itertools
import sys

import anyio
import httpx2
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

# What belongs to a connection and not to the message (RFC 9110, 7.6.1).
HOP_BY_HOP = {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"}


class RoundRobin:
    """The proxy, as an ASGI application."""

    def __init__(self, http: httpx2.AsyncClient, servers: list[str]) -> None:
        self._http = http
        self._servers = servers
        self._turns = itertools.cycle(servers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_when_gone, receive, group.cancel_scope)
            try:
                response = await self._forward(request, body)
            except httpx2.TransportError as error:
                await PlainTextResponse(f"No server answers: {error!r}\n", 502)(scope, receive, send)
            else:
                try:
                    await _pass_on(response, send)
                finally:
                    await response.aclose()
            group.cancel_scope.cancel()

    async def _forward(self, request: Request, body: bytes) -> httpx2.Response:
        """The head of the answer of the next server that can be reached. Raises TransportError."""
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        for tried, server in enumerate(self._turns, 1):
            forwarded = self._http.build_request(
                request.method, server + target, headers=_end_to_end(request.headers.raw), content=body
            )
            try:
                return await self._http.send(forwarded, stream=True)
            except httpx2.ConnectError:
                if tried == len(self._servers):
                    raise
        raise AssertionError("a cycle does not end")


def _end_to_end(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The white space around a value is none of it (RFC 9110, 5.5), and a client must not send it."""
    return [(name, value.strip(b" \t")) for name, value in headers if name.lower() not in HOP_BY_HOP]


async def _pass_on(response: httpx2.Response, send: Send) -> None:
    headers = _end_to_end(response.headers.raw)
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    async for chunk in response.aiter_raw():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _cancel_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def serve(servers: list[str]) -> None:
    # A connection is used once, so that a server that has ended is noticed when it is connected to.
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx2.AsyncClient(timeout=None, limits=limits, trust_env=False) as http:
        config = uvicorn.Config(
            RoundRobin(http, servers),
            port=0,
            lifespan="off",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    anyio.run(serve, sys.argv[1:])
