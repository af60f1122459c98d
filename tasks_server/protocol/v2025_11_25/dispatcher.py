"""From a message of a session to its answer. Knows neither HTTP nor pipes: see `connection.py` for those.

A session is opened from its token for each message, so any replica answers any of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from tasks_server.errors import INVALID_REQUEST, METHOD_NOT_FOUND, RpcError
from tasks_server.protocol.answers import Accepted, Final, Streamed, failed, guarded, streamed
from tasks_server.protocol.dialect import Outlet, Stream
from tasks_server.protocol.jsonrpc import (
    MalformedMessage,
    Notification,
    Request,
    Response,
    encode_result,
    read_message,
)
from tasks_server.protocol.v2025_11_25 import standing
from tasks_server.protocol.v2025_11_25.awaited import resume
from tasks_server.protocol.v2025_11_25.batches import answered_together, check_batch
from tasks_server.protocol.v2025_11_25.call import SessionCall, SessionHandler
from tasks_server.protocol.v2025_11_25.cancellation import take_cancellation
from tasks_server.protocol.v2025_11_25.handshake import HANDSHAKE, initialize
from tasks_server.protocol.v2025_11_25.housekeeping import ping, set_level, subscribe, unsubscribe
from tasks_server.protocol.v2025_11_25.marks import FollowMark, read_mark
from tasks_server.protocol.v2025_11_25.offers import (
    complete_argument,
    get_prompt,
    list_prompts,
    list_resources,
    list_templates,
    read_resource,
)
from tasks_server.protocol.v2025_11_25.questions import take_response
from tasks_server.protocol.v2025_11_25.sealed_session import open_session, seal_session
from tasks_server.protocol.v2025_11_25.session import Session
from tasks_server.protocol.v2025_11_25.tasks import cancel_task, get_result, get_task, list_tasks
from tasks_server.protocol.v2025_11_25.tools import call_tool, list_tools
from tasks_server.store.outage import is_outage

if TYPE_CHECKING:
    from tasks_server.protocol.headers import Headers
    from tasks_server.protocol.parts import Parts

CANCELLATION = "notifications/cancelled"

log = logging.getLogger(__name__)

_HANDLERS: Mapping[str, SessionHandler] = {
    "ping": ping,
    "tools/list": list_tools,
    "tools/call": call_tool,
    "prompts/list": list_prompts,
    "prompts/get": get_prompt,
    "resources/list": list_resources,
    "resources/templates/list": list_templates,
    "resources/read": read_resource,
    "resources/subscribe": subscribe,
    "resources/unsubscribe": unsubscribe,
    "logging/setLevel": set_level,
}
_COMPLETIONS: Mapping[str, SessionHandler] = {"completion/complete": complete_argument}
_TASKS: Mapping[str, SessionHandler] = {
    "tasks/get": get_task,
    "tasks/result": get_result,
    "tasks/cancel": cancel_task,
}
_TASK_LIST: Mapping[str, SessionHandler] = {"tasks/list": list_tasks}


class Dispatcher:
    """Answers the messages of sessions. One per process; holds nothing between messages."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def begin(self, request: Request, owner: str) -> tuple[Session | None, Final]:
        """The session of an `initialize`, whose token is in the answer; None if it was refused."""

        async def work() -> tuple[Session, Final]:
            apart = self._parts.tells_callers_apart
            session, result = initialize(owner, request.params, tells_callers_apart=apart)
            token = seal_session(self._parts.seal, session)
            return session, Final(encode_result(request.id, result), session=token)

        begun = await guarded(request.id, work)
        return (None, begun) if isinstance(begun, Final) else begun

    async def open(self, token: str, owner: str) -> Session | None:
        """The session as it is now; None if there is none, or it has ended."""
        session = open_session(self._parts.seal, token, owner)
        return None if session is None else await self.current(session)

    async def current(self, session: Session) -> Session | None:
        """The session with what has changed since its handshake; None if it has ended."""
        state = await self._parts.sessions.find(session.id)
        if state is None:
            return session
        if state.ended or state.owner != session.owner:
            return None
        return session if state.log_level is None else replace(session, log_level=state.log_level)

    async def end(self, session: Session) -> None:
        await self._parts.sessions.end(session.id, session.owner)

    async def receive(
        self, decoded: Any, session: Session, headers: Headers | None = None
    ) -> Accepted | Final | Streamed:
        """Answer one message, or a batch where the revision has them. Errors are answers."""
        try:
            if isinstance(decoded, list):
                return await self._receive_all(cast("list[Any]", decoded), session, headers)
            return await self._receive(read_message(decoded), session, headers)
        except MalformedMessage as error:
            return replace(failed(error.request_id, error), status=400)

    async def listen(self, session: Session, last_event_id: str | None) -> Streamed | None:
        """The GET stream, or the rest of a stream that was broken off; None for an id that no stream has had."""
        mark = None if last_event_id is None else read_mark(last_event_id, session.id)
        if last_event_id is not None and mark is None:
            return None
        if isinstance(mark, FollowMark):
            return streamed(mark.request_id, resume(self._parts, session, mark))
        return _without_response(standing.listen(self._parts, session, mark))

    async def _receive(
        self, message: Request | Notification | Response, session: Session, headers: Headers | None
    ) -> Accepted | Final | Streamed:
        match message:
            case Request():
                return await self._answer(message, session, headers)
            case Response():
                await take_response(self._parts, session, message)
            case Notification(method, params) if method == CANCELLATION:
                await take_cancellation(self._parts, session, params)
            case Notification():
                pass
        return Accepted()

    async def _answer(self, request: Request, session: Session, headers: Headers | None) -> Final | Streamed:
        async def begin() -> Final | Streamed:
            handler = self._handler(request.method, session)
            answer = await handler(SessionCall.of(self._parts, session, request, headers))
            if isinstance(answer, Stream):
                return streamed(request.id, answer)
            return Final(encode_result(request.id, answer))

        return await guarded(request.id, begin)

    def _handler(self, method: str, session: Session) -> SessionHandler:
        if method == HANDSHAKE:
            raise RpcError(INVALID_REQUEST, "This session has been initialized already.")
        served = dict(_HANDLERS)
        if session.revision.completions:
            served |= _COMPLETIONS
        if session.revision.tasks:
            served |= _TASKS
            if self._parts.tells_callers_apart:
                served |= _TASK_LIST
        handler = served.get(method)
        if handler is None:
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {method}.")
        return handler

    async def _receive_all(
        self, batch: Sequence[Any], session: Session, headers: Headers | None
    ) -> Accepted | Final | Streamed:
        check_batch(batch, session.revision)
        answers = await asyncio.gather(*(self.receive(each, session, headers) for each in batch))
        return answered_together(answers)


def _without_response(stream: Stream) -> Streamed:
    async def run(outlet: Outlet) -> None:
        try:
            await stream.run(outlet)
        except Exception as error:
            # Its client opens another one, and hears what it has missed.
            if not _is_outage(error):
                log.exception("A stream of a session has broken")

    return Streamed(run)


def _is_outage(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_outage, cast("BaseExceptionGroup[BaseException]", error).exceptions))
    return is_outage(error)
