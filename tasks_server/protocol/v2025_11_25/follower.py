"""Following a task until its request can be answered.

A client that goes away has cancelled nothing (basic/transports, "Sending Messages to the Server"): the task goes on,
and whoever comes back with the last event id, to whichever replica, is told the rest and the response.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn, Protocol

import anyio

from tasks_server.errors import INTERNAL_ERROR, RpcError, TaskNotFound, TasksError
from tasks_server.protocol.dialect import Outlet
from tasks_server.protocol.jsonrpc import Result
from tasks_server.protocol.v2025_11_25.marks import FollowMark, Numbering, Place, StreamKind
from tasks_server.protocol.v2025_11_25.narrator import Narrator
from tasks_server.protocol.v2025_11_25.session import Session
from tasks_server.protocol.v2025_11_25.voice import Voice
from tasks_server.signals import RequestCancelled
from tasks_server.task import Task
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


@dataclass(slots=True)
class Follower:
    """One connection that waits for one task.

    mark: what it answers, and where it begins. ending: what a task that has ended is answered with; may raise its
    error. cannot_ask: what one is answered with whose questions this client cannot be asked; otherwise it waits.
    is_new: the task has been made for it, so nobody else tells of it yet. is_resumed: its client has seen part of it.
    """

    parts: Parts
    session: Session
    outlet: Outlet
    mark: FollowMark
    ending: Callable[[Task], Result]
    limit: WaitLimit | None = None
    cannot_ask: Callable[[Task], Result] | None = None
    is_new: bool = False
    is_resumed: bool = False
    resumable: bool = True
    narrator: Narrator | None = None
    numbering: Numbering = field(init=False)

    def __post_init__(self) -> None:
        self.numbering = Numbering(self.session.id)

    async def run(self, watching: Watching) -> Result | None:
        """The result; None if the client is to come back, or wants none any more."""
        cancelled = asyncio.ensure_future(self._cancelled())
        work = asyncio.ensure_future(self._follow(watching))
        time_is_up = asyncio.ensure_future(self._time_is_up())
        bell = asyncio.ensure_future(self.outlet.closing())
        racing = (cancelled, work, time_is_up, bell)
        try:
            await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
            if cancelled.done():
                return cancelled.result()
            if work.done():
                return work.result()
            if time_is_up.done():
                return time_is_up.result()
            bell.result()  # an outlet that breaks is no server that stops
            return None if self._can_return else await self._abandon()
        finally:
            for each in racing:
                each.cancel()
            await asyncio.gather(*racing, return_exceptions=True)

    async def _cancelled(self) -> None:
        """Return when the client wants no answer any more."""
        async with self.parts.session_news.follow(self.session.id) as following:
            while await following.next() != RequestCancelled(self.session.id, self.mark.request_id):
                pass

    @property
    def _can_return(self) -> bool:
        return self.resumable and self.session.revision.primed_streams

    async def _abandon(self) -> NoReturn:
        """The server stops, and the client cannot come back: work that only it knows of must not be left behind."""
        if self.mark.kind is StreamKind.CALL:
            with suppress(TasksError):
                await self.parts.service.cancel(self.session.owner, self.mark.task_id)
        raise RpcError(INTERNAL_ERROR, "The server is shutting down; ask again.")

    async def _time_is_up(self) -> Result:
        """What the call is answered with when it has been waited for long enough. Never returns without a limit."""
        if self.limit is None:
            return await asyncio.get_running_loop().create_future()
        began_at = anyio.current_time()
        while True:
            asked_at = began_at if self.narrator is None else self.narrator.asked_at
            # A person who answers has all the time; the tool gets the whole of it again afterwards.
            await anyio.sleep_until(max(began_at, asked_at) + self.limit.seconds)
            if self.narrator is not None and self.narrator.asked_at > asked_at:
                continue
            result = await self.limit.time_is_up(self.mark.task_id)
            if result is not None:
                return result
            await anyio.sleep(ASK_AGAIN_SECONDS)

    async def _follow(self, watching: Watching) -> Result | None:
        async with watching as watch:
            if not watch.accepted:
                raise TaskNotFound(self.mark.task_id)
            # Under an idempotency key it may be another task than the one that was to be created.
            is_own = self.is_new and watch.accepted == (self.mark.task_id,)
            self.mark = replace(self.mark, task_id=watch.accepted[0])
            at_once = is_own or self.is_resumed
            voice = Voice(
                self.parts.bus, self.mark.task_id, self.numbering.stream, claims=not is_own, at_once=at_once
            )
            keeping = asyncio.ensure_future(voice.keep(watch.offer_signal))
            try:
                return await self._tell(watch, voice)
            finally:
                keeping.cancel()
                if self.narrator is not None:
                    await self.narrator.leave()

    async def _tell(self, watch: Watch, voice: Voice) -> Result | None:
        narrator = self.narrator = self._narrator(voice)
        if not self.is_resumed and self.mark.kind is not StreamKind.CALL:
            await narrator.skip_lines()
        await voice.claim()
        if self._can_return and (mark := self._event_id(narrator.place)) is not None:
            await self.outlet.prime(mark)
        async for event in watch:
            await narrator.hear(event)
            if isinstance(event, Task):
                if event.is_terminal:
                    return self.ending(event)
                if self.cannot_ask is not None and narrator.cannot_ask:
                    return self.cannot_ask(event)
        raise TaskNotFound(self.mark.task_id)

    def _narrator(self, voice: Voice) -> Narrator:
        return Narrator(
            self.parts,
            self.session,
            self.outlet,
            self.mark.task_id,
            voice,
            progress_token=self.mark.progress_token,
            is_handle=self.mark.kind is StreamKind.RESULT,
            mark=self._event_id,
            place=self.mark.place,
        )

    def _event_id(self, place: Place) -> str | None:
        return self.numbering.write(replace(self.mark, place=place)) if self.resumable else None
