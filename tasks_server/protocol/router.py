"""From a message to its answer: parse, check, find the dialect, call the handler, turn errors into answers.

Independent of the transport: over HTTP the mirrored headers come along, over a pipe there are none. A request
with the per-request `_meta` of 2026-07-28 and later is served statelessly by the dialect it names; this is
the only place that chooses between revisions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, cast

from tasks_server.errors import METHOD_NOT_FOUND, RpcError
from tasks_server.protocol.answers import Accepted, Final, Streamed, failed, guarded, streamed
from tasks_server.protocol.caller import read_caller
from tasks_server.protocol.dialect import Call, Dialect, Handler, Stream
from tasks_server.protocol.headers import PROTOCOL_VERSION, Headers
from tasks_server.protocol.jsonrpc import (
    MalformedMessage,
    Notification,
    Request,
    encode_result,
    parse,
)
from tasks_server.protocol.request_metadata import (
    check_envelope,
    check_name,
    choose_dialect,
    handshake_refused,
    read_meta,
)

if TYPE_CHECKING:
    from tasks_server.protocol.parts import Parts

HANDSHAKE = "initialize"


class Router:
    """Answers messages. One per process; holds no state between requests."""

    def __init__(self, parts: Parts, dialects: Iterable[Dialect]) -> None:
        self._parts = parts
        self._served = {dialect.version: dialect for dialect in dialects}

    @property
    def served(self) -> Collection[str]:
        """The revisions that are answered here."""
        return self._served

    @classmethod
    def without_parts(cls, dialects: Iterable[Dialect]) -> Router:
        """For dialects whose handlers look at no part of the server."""
        return cls(cast("Parts", None), dialects)

    async def receive(self, body: bytes, owner: str, headers: Headers | None) -> Accepted | Final | Streamed:
        """Answer one message from `owner`. Errors are answers; only bugs and cancellation raise."""
        try:
            message = parse(body)
            if isinstance(message, Notification):
                return self._accept(headers)
        except MalformedMessage as error:
            return failed(error.request_id, error)
        except RpcError as error:
            return failed(None, error)
        return await self.answer(message, owner, headers)

    def _accept(self, headers: Headers | None) -> Accepted:
        # No notification from a client means anything to a stateless server; what it must not do is claim a
        # revision that is not spoken here.
        version = headers.get(PROTOCOL_VERSION) if headers is not None else None
        if version is not None:
            choose_dialect(version, self._served)
        return Accepted()

    async def answer(self, request: Request, owner: str, headers: Headers | None) -> Final | Streamed:
        """Answer one request. Errors are answers."""

        async def begin() -> Final | Streamed:
            handler, call = self._check(request, owner, headers)
            answer = await handler(call)
            if isinstance(answer, Stream):
                return streamed(request.id, answer)
            return Final(encode_result(request.id, answer))

        return await guarded(request.id, begin)

    def _check(self, request: Request, owner: str, headers: Headers | None) -> tuple[Handler, Call]:
        if request.method == HANDSHAKE:
            raise handshake_refused(request, self._served)
        meta = read_meta(request, self._served)
        caller = read_caller(owner, meta)
        if headers is not None:
            check_envelope(headers, request, caller.protocol_version)
        dialect = choose_dialect(caller.protocol_version, self._served)
        if headers is not None:
            check_name(headers, request, dialect.name_sources)
        handler = dialect.handlers.get(request.method)
        if handler is None:
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {request.method}.")
        return handler, Call(self._parts, caller, request, headers, tuple(self._served))
