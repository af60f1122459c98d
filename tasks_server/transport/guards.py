"""Who may talk to this server at all, decided before a body is read.

A web page must not reach a local server through the visitor's browser: the Host must be a name this server
goes by, the Origin of a browser request one it trusts (basic/transports/streamable-http, "Security &
Endpoint"). A browser shows a page what came from here only if that is said beside every answer (CORS).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tasks_server.protocol.caller import ANONYMOUS
from tasks_server.settings import LOOPBACK_HOSTS, Settings
from tasks_server.transport import patience
from tasks_server.transport.load import Admitted

ANY = "*"
MOST_HOSTS = 256


class BodyTooLarge(Exception):
    """The request body is larger than the operator allows."""


class BodyTooSlow(Exception):
    """The request body did not come in time."""


class TrustedOrigins:
    """The origins whose pages may use this server: the operator's, and those of this machine."""

    def __init__(self, settings: Settings) -> None:
        self._named = frozenset(origin.lower().rstrip("/") for origin in settings.allowed_origins)

    def include(self, origin: str) -> bool:
        origin = origin.lower()
        if ANY in self._named or origin in self._named:
            return True
        return origin.startswith(("http://", "https://")) and _hostname(origin) in LOOPBACK_HOSTS


class OriginGuard:
    """ASGI middleware: answers 403 to requests under a foreign Host or from a foreign Origin."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in settings.allowed_hosts)
        self._origins = TrustedOrigins(settings)
        # Nearly all requests name one of a few hosts.
        self._is_own_host = lru_cache(MOST_HOSTS)(self._compare_host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (reason := self._objection(Headers(scope=scope))) is not None:
            await PlainTextResponse(reason, status_code=403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _objection(self, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if not self._is_own_host(host.lower()):
            return f"Host {host!r} is not accepted; the operator can add it to TASKS_ALLOWED_HOSTS.\n"
        origin = headers.get("origin")
        if origin is not None and not self._origins.include(origin):
            return f"Origin {origin!r} is not accepted; the operator can add it to TASKS_ALLOWED_ORIGINS.\n"
        return None

    def _compare_host(self, host: str) -> bool:
        if ANY in self._hosts or host in self._hosts:
            return True
        name = _hostname(f"//{host}")
        return name in LOOPBACK_HOSTS or name in self._hosts


class CrossOrigin(CORSMiddleware):
    """ASGI middleware: lets pages of trusted origins send what the protocol wants, and read the answers.

    All request headers are allowed, because tools make up names of theirs (`Mcp-Param-*`); who may send them at
    all, the origin decides. Nobody is logged in here, so no cookies are asked for.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        super().__init__(
            app,
            allow_methods=("DELETE", "GET", "HEAD", "POST"),
            allow_headers=(ANY,),
            allow_private_network=True,
            expose_headers=(
                "Accept-Ranges",
                "Content-Disposition",
                "Content-Range",
                "ETag",
                "Mcp-Session-Id",
                "Retry-After",
            ),
        )
        self._origins = TrustedOrigins(settings)

    def is_allowed_origin(self, origin: str) -> bool:
        return self._origins.include(origin)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What no page has sent needs no leave to be read; and the answer to a POST is in no cache."""
        if scope["type"] == "http" and scope["method"] == "POST" and "origin" not in Headers(scope=scope):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def caller_of(request: Request) -> str:
    """The owner on whose behalf this request acts. Nobody is authenticated yet, so all share one."""
    return ANONYMOUS


async def read_body(request: Request, limit: int, admitted: Admitted) -> bytes:
    """The whole body. Raises BodyTooLarge before more than `limit` bytes are held, BodyTooSlow, Overloaded."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit:
        raise BodyTooLarge
    chunks: list[bytes] = []
    size = 0
    now = asyncio.get_running_loop().time
    end = now() + patience.TRANSFER_SECONDS
    try:
        async with asyncio.timeout(patience.SILENCE_SECONDS) as waiting:
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise BodyTooLarge
                admitted.hold(len(chunk))
                chunks.append(chunk)
                waiting.reschedule(min(end, now() + patience.SILENCE_SECONDS))
            return b"".join(chunks)
    except TimeoutError:
        raise BodyTooSlow from None


def accepts(header: str | None, wanted: Iterable[str]) -> bool:
    """Whether an Accept header admits every one of these media types. Without the header anything goes."""
    if header is None:
        return True
    offered = {part.partition(";")[0].strip().lower() for part in header.split(",")}
    return all(offered & {media_type, f"{media_type.partition('/')[0]}/*", "*/*"} for media_type in wanted)


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
