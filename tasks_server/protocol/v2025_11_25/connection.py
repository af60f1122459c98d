"""One client at the other end of a pipe: everything it sends comes through here, in whatever order.

What HTTP says with headers and session ids a pipe says by being the same pipe.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from tasks_server.errors import INVALID_REQUEST, RpcError
from tasks_server.protocol.answers import Accepted, Final, Streamed, failed, guarded
from tasks_server.protocol.jsonrpc import (
    MalformedMessage,
    Notification,
    Request,
    Response,
    encode_result,
    read_message,
)
from tasks_server.protocol.v2025_11_25.handshake import HANDSHAKE, initialize
from tasks_server.protocol.v2025_11_25.session import Session

if TYPE_CHECKING:
    from tasks_server.protocol.v2025_11_25.dispatcher import Dispatcher

PING = "ping"


class Connection:
    """The session of one pipe: none until `initialize` has been answered. The handshake needs no part of the server.

    session_id: what the session is known by, if that is settled. Unless tells_callers_apart, strangers may share its
    owner; at the end of a real pipe there is one caller only.
    """

    def __init__(
        self, owner: str, *, session_id: str | None = None, tells_callers_apart: bool = True
    ) -> None:
        self._owner = owner
        self._session_id = session_id
        self._tells_callers_apart = tells_callers_apart
        self._session: Session | None = None
        self._dispatcher: Dispatcher | None = None

    @property
    def is_open(self) -> bool:
        """Whether a session has begun."""
        return self._session is not None

    def serve(self, dispatcher: Dispatcher) -> None:
        """From now on every message can be received."""
        self._dispatcher = dispatcher

    def can_receive(self, decoded: Any) -> bool:
        """Whether a message can be received by now."""
        return self._dispatcher is not None or self._session is None or is_ping(decoded)

    async def receive(self, decoded: Any) -> Accepted | Final | Streamed:
        """Answer a message as `jsonrpc.decode` has read it. Errors are answers."""
        if self._session is not None and not is_ping(decoded):
            session = await self._served.current(self._session) or self._session
            return await self._served.receive(decoded, session)
        try:
            return await self._receive(read_message(decoded))
        except MalformedMessage as error:
            return failed(error.request_id, error)

    async def standing(self) -> Streamed | None:
        """What a client hears without having asked; over HTTP it has a stream of its own. None before the handshake."""
        return None if self._session is None else await self._served.listen(self._session, None)

    @property
    def _served(self) -> Dispatcher:
        assert self._dispatcher is not None, "nothing is served yet"
        return self._dispatcher

    async def _receive(self, message: Request | Notification | Response) -> Accepted | Final:
        match message:
            case Request(_, method) if method == HANDSHAKE:
                return await self._begin(message)
            case Request(request_id, method) if method == PING:
                return Final(encode_result(request_id, {}))
            case Request(request_id):
                return failed(request_id, RpcError(INVALID_REQUEST, f"Send `{HANDSHAKE}` first."))
            case _:
                return Accepted()

    async def _begin(self, request: Request) -> Final:
        async def work() -> Final:
            apart = self._tells_callers_apart
            session, result = initialize(self._owner, request.params, tells_callers_apart=apart)
            # A pipe that has been lost cannot be come back to, whatever the revision says about streams.
            revision = replace(session.revision, primed_streams=False)
            self._session = replace(session, id=self._session_id or session.id, revision=revision)
            return Final(encode_result(request.id, result))

        return await guarded(request.id, work)


def is_ping(decoded: Any) -> bool:
    """Whether a message asks for a sign of life, which belongs to no session."""
    return isinstance(decoded, dict) and cast("dict[str, Any]", decoded).get("method") == PING
