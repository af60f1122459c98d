"""A request within a session, and what its handlers share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from tasks_server.protocol.caller import Caller, read_progress_token
from tasks_server.protocol.dialect import Call, Stream
from tasks_server.protocol.jsonrpc import InvalidParams, Request, Result
from tasks_server.protocol.v2025_11_25.session import Session

if TYPE_CHECKING:
    from tasks_server.protocol.headers import Headers
    from tasks_server.protocol.parts import Parts


@dataclass(frozen=True, slots=True)
class SessionCall(Call):
    """A Call that came in a session, whose handshake says who sends it."""

    session: Session

    @classmethod
    def of(cls, parts: Parts, session: Session, request: Request, headers: Headers | None) -> SessionCall:
        """Raises InvalidParams for a `_meta` that cannot be read."""
        meta = request.params.get("_meta", {})
        if not isinstance(meta, dict):
            raise InvalidParams("params._meta must be an object.")
        caller = Caller(
            owner=session.owner,
            protocol_version=session.revision.version,
            capabilities=session.capabilities,
            log_level=session.log_level,
            progress_token=read_progress_token(cast("dict[str, Any]", meta)),
            session=session.id,
            request_id=request.id,
        )
        return cls(parts, caller, request, headers, (session.revision.version,), session)


SessionHandler = Callable[[SessionCall], Awaitable[Result | Stream]]
