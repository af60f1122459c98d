"""Following a task until its request can be answered: attached calls, `tasks/result`, and streams that are resumed.

A client that goes away has cancelled nothing (basic/transports, "Sending Messages to the Server"): the task goes on,
and whoever comes back with the last event id, to whichever replica, is told the rest and the response.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from tasks_server.bus import VoiceTaken
from tasks_server.errors import INTERNAL_ERROR, RpcError, TaskNotFound, TasksError
from tasks_server.protocol.dialect import Outlet, Stream
from tasks_server.protocol.jsonrpc import Result
from tasks_server.protocol.v2025_11_25.call import SessionCall
from tasks_server.protocol.v2025_11_25.marks import FollowMark, Numbering, Place, StreamKind
from tasks_server.protocol.v2025_11_25.narrator import Narrator
from tasks_server.protocol.v2025_11_25.results import outcome, related
from tasks_server.protocol.v2025_11_25.session import Session
from tasks_server.protocol.v2025_11_25.voice import CANCELLED, Voice
from tasks_server.task import NewTask, Task
from tasks_server.watch import Watch

if TYPE_CHECKING:
    from tasks_server.protocol.parts import Parts

Watching = AbstractAsyncContextManager[Watch]

ASK_AGAIN_SECONDS = 1.0


class WaitLimit(Protocol):
    """How long a call is waited for. time_is_up: what it is answered with then; None: ask again in a moment."""

    @property
    def seconds(self) -> float: ...

    async def time_is_up(self, task_id: str) -> Result | None: ...


def start(
    call: SessionCall, new: NewTask, *, resumable: bool = True, limit: WaitLimit | None = None
) -> Stream:
    """Carry out `new`, and answer the call with its outcome."""
    mark = _beginning(StreamKind.CALL, new.id, call)
    return _stream(
        call,
        mark,
        lambda: call.parts.service.submit_and_watch(new),
        is_new=True,
        resumable=resumable,
        limit=limit,
    )


def wait_for(call: SessionCall, task_id: str) -> Stream:
    """Answer the call with the outcome of a task that has been handed out."""
    mark = _beginning(StreamKind.RESULT, task_id, call)
    return _stream(call, mark, lambda: _watch(call.parts, call.session, task_id))


def resume(parts: Parts, session: Session, mark: FollowMark) -> Stream:
    """Go on with a stream that was broken off."""

    async def run(outlet: Outlet) -> Result | None:
        follower = _Follower(parts, session, outlet, mark, is_resumed=True)
        try:
            return await follower.run(_watch(parts, session, mark.task_id))
        except TaskNotFound:
            raise RpcError(INTERNAL_ERROR, "What this request has come to is not kept any more.") from None

    return Stream(run)


def _beginning(kind: StreamKind, task_id: str, call: SessionCall) -> FollowMark:
    return FollowMark(kind, task_id, call.request.id, call.caller.progress_token, Place())


def _watch(parts: Parts, session: Session, task_id: str) -> Watching:
    return parts.service.watch(session.owner, [task_id], signals=True)


def _stream(
    call: SessionCall,
    mark: FollowMark,
    watching: Callable[[], Watching],
    *,
    is_new: bool = False,
    resumable: bool = True,
    limit: WaitLimit | None = None,
) -> Stream:
    async def run(outlet: Outlet) -> Result | None:
        follower = _Follower(
            call.parts, call.session, outlet, mark, is_new=is_new, resumable=resumable, limit=limit
        )
        return await follower.run(watching())

    return Stream(run)


@dataclass(slots=True)
class _Follower:
    """One connection that waits for one task.

    is_new: the task has been made for it, so nobody else tells of it yet. is_resumed: its client has seen part of it.
    """

    parts: Parts
    session: Session
    outlet: Outlet
    mark: FollowMark
    is_new: bool = False
    is_resumed: bool = False
    resumable: bool = True
    limit: WaitLimit | None = None
    numbering: Numbering = field(default_factory=Numbering)

    @property
    def is_handle(self) -> bool:
        return self.mark.kind is StreamKind.RESULT

    @property
    def is_primed(self) -> bool:
        return self.resumable and self.session.revision.primed_streams

    async def run(self, watching: Watching) -> Result | None:
        """The result; None if the client is to come back, or wants none any more. Raises the task's error."""
        work = asyncio.ensure_future(self._follow(watching))
        bell = asyncio.ensure_future(self.outlet.closing())
        time_is_up = asyncio.ensure_future(self._time_is_up())
        try:
            await asyncio.wait({work, bell, time_is_up}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            return time_is_up.result() if time_is_up.done() else await self._leave()
        finally:
            for each in (work, bell, time_is_up):
                each.cancel()
            await asyncio.gather(work, bell, time_is_up, return_exceptions=True)

    async def _time_is_up(self) -> Result:
        """What the call is answered with when it has been waited for long enough; never returns without a limit."""
        if self.limit is None:
            await asyncio.get_running_loop().create_future()
        assert self.limit is not None
        await asyncio.sleep(self.limit.seconds)
        while True:
            result = await self.limit.time_is_up(self.mark.task_id)
            if result is not None:
                return result
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def _leave(self) -> None:
        """The connection ends before the task. A client that cannot come back must not leave work behind it."""
        if self.is_primed or self.is_handle:
            if self.is_primed:
                return
            raise RpcError(INTERNAL_ERROR, "The server is shutting down; ask again.")
        with suppress(TasksError):
            await self.parts.service.cancel(self.session.owner, self.mark.task_id)
        raise RpcError(INTERNAL_ERROR, "The server is shutting down; call again.")

    async def _follow(self, watching: Watching) -> Result | None:
        async with watching as watch:
            if not watch.accepted:
                raise TaskNotFound(self.mark.task_id)
            # Under an idempotency key it may be another task than the one that was to be created.
            is_own = self.is_new and watch.accepted == (self.mark.task_id,)
            self.mark = replace(self.mark, task_id=watch.accepted[0])
            voice = Voice(self.parts.bus, self.mark.task_id, self.numbering.stream, claims=not is_own)
            keeping = asyncio.ensure_future(voice.keep())
            try:
                return await self._tell(watch, voice)
            finally:
                keeping.cancel()
                await voice.release()

    async def _tell(self, watch: Watch, voice: Voice) -> Result | None:
        narrator = Narrator(
            self.parts,
            self.session,
            self.outlet,
            self.mark.task_id,
            voice,
            progress_token=self.mark.progress_token,
            is_handle=self.is_handle,
            mark=self._event_id,
            place=self.mark.place,
        )
        if self.is_handle and not self.is_resumed:
            await narrator.skip_lines()
        if self.is_primed and (mark := self._event_id(narrator.place)) is not None:
            await self.outlet.prime(mark)
        await voice.claim()
        async for event in watch:
            if event == VoiceTaken(self.mark.task_id, CANCELLED):
                return None
            await narrator.hear(event)
            if isinstance(event, Task) and event.is_terminal:
                return outcome(event, self.session.revision, related(event.id) if self.is_handle else None)
        raise TaskNotFound(self.mark.task_id)

    def _event_id(self, place: Place) -> str | None:
        if not self.resumable:
            return None
        return self.numbering.write(replace(self.mark, place=place))
