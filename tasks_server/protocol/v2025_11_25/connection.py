"""One client at the other end of a pipe: everything it sends comes through here, in whatever order.

What HTTP says with headers and session ids a pipe says by being the same pipe.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from tasks_server.errors import INVALID_REQUEST, RpcError
from tasks_server.protocol.answers import Accepted, Final, Streamed, failed
from tasks_server.protocol.jsonrpc import (
    MalformedMessage,
    Notification,
    Request,
    Response,
    encode_result,
    read_message,
)
from tasks_server.protocol.v2025_11_25.dispatcher import HANDSHAKE, Dispatcher
from tasks_server.protocol.v2025_11_25.session import Session

if TYPE_CHECKING:
    from tasks_server.protocol.parts import Parts


class Connection:
    """The session of one pipe: none until `initialize` has been answered."""

    def __init__(self, parts: Parts, owner: str) -> None:
        self._dispatcher = Dispatcher(parts)
        self._owner = owner
        self._session: Session | None = None

    async def receive(self, decoded: Any) -> Accepted | Final | Streamed:
        """Answer a message as `jsonrpc.decode` has read it. Errors are answers."""
        if self._session is not None:
            session = await self._dispatcher.current(self._session) or self._session
            return await self._dispatcher.receive(decoded, session)
        try:
            return await self._before_handshake(read_message(decoded))
        except MalformedMessage as error:
            return failed(error.request_id, error)

    async def standing(self) -> Streamed | None:
        """What a client hears without having asked; over HTTP it has a stream of its own. None before the handshake."""
        return None if self._session is None else await self._dispatcher.listen(self._session, None)

    async def _before_handshake(self, message: Request | Notification | Response) -> Accepted | Final:
        match message:
            case Request(_, method) if method == HANDSHAKE:
                self._session, answer = await self._dispatcher.begin(message, self._owner)
                return replace(answer, session=None)
            case Request(request_id, "ping"):
                return Final(encode_result(request_id, {}))
            case Request(request_id):
                return failed(request_id, RpcError(INVALID_REQUEST, "Send `initialize` first."))
            case _:
                return Accepted()


def is_handshake(decoded: Any) -> bool:
    """Whether a message begins a session."""
    return isinstance(decoded, dict) and cast("dict[str, Any]", decoded).get("method") == HANDSHAKE
