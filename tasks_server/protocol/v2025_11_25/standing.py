"""The GET stream: what concerns a session beside the requests that are just being answered.

Statuses of its tasks; their progress, log lines and questions while no stream that answers a request tells of them;
changes of the lists, and of the resources it has subscribed to. A client that comes back hears what has changed.
"""

from __future__ import annotations

import asyncio
from asyncio import Queue
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup

from tasks_server.catalog import OfferKind
from tasks_server.protocol.dialect import Outlet, Stream
from tasks_server.protocol.v2025_11_25.marks import Numbering, Place, StandingMark
from tasks_server.protocol.v2025_11_25.narrator import Narrator
from tasks_server.protocol.v2025_11_25.results import task_fields
from tasks_server.protocol.v2025_11_25.session import Session
from tasks_server.protocol.v2025_11_25.voice import HEARD_WITHIN_SECONDS, Voice
from tasks_server.session_news import Following
from tasks_server.signals import (
    RequestCancelled,
    ResourceUpdated,
    Resync,
    SessionChanged,
    SessionMessage,
    SessionTask,
    VoiceTaken,
)
from tasks_server.task import Task
from tasks_server.watch import LiveSignal, Watch

if TYPE_CHECKING:
    from tasks_server.protocol.parts import Parts

LISTS: tuple[OfferKind, ...] = ("tools", "prompts", "resources")

WAITER_SECONDS = 5.0
"""How long a question is left to the `tasks/result` that a client is told to send for it."""

LOOK_AGAIN_SECONDS = 30.0


def listen(parts: Parts, session: Session, mark: StandingMark | None) -> Stream:
    """mark: where the client has got to on an earlier connection."""

    async def run(outlet: Outlet) -> None:
        await _Standing(parts, session, outlet, None if mark is None else mark.since_ms).run()

    return Stream(run)


@dataclass(slots=True)
class _Standing:
    """One connection of it. since_ms: up to when the client has been told everything; None: it is its first.

    opened_ms: what was done before that has been told, if at all, on another.
    """

    parts: Parts
    session: Session
    outlet: Outlet
    since_ms: int | None
    opened_ms: int = 0
    numbering: Numbering = field(init=False)
    followed: dict[str, Narrator | None] = field(default_factory=dict[str, Narrator | None])
    voice: Voice = field(init=False)

    async def run(self) -> None:
        self.numbering = Numbering(self.session.id)
        self.voice = Voice(self.parts.bus, self.session.id, self.numbering.stream, claims=True)
        news = self.parts.session_news.follow(self.session.id)
        async with (
            self.parts.catalog.changes() as lists,
            news as following,
            anyio.create_task_group() as group,
        ):
            await self._open(following, group)
            group.start_soon(self._tell_lists, lists)
            group.start_soon(self.voice.keep)
            group.start_soon(self._tell_news, following, group)
            group.start_soon(self._look_again_now_and_then, following)
            await self.outlet.closing()
            group.cancel_scope.cancel()

    async def _open(self, following: Following, group: TaskGroup) -> None:
        told_before = self.since_ms
        self.since_ms = self.opened_ms = await self.parts.service.clock()
        await self.outlet.prime(self._event_id())
        await self.voice.claim()
        await self._look_at_subscriptions(following)
        # First, so that none can end unseen between the two looks.
        await self._look_for_tasks(group)
        if told_before is not None:
            await self._catch_up(told_before, following)

    async def _catch_up(self, since_ms: int, following: Following) -> None:
        followed = set(self.followed)
        service, session = self.parts.service, self.session
        for task in await service.changed_of_session(session.owner, session.id, since_ms):
            if task.id not in followed:
                await self._tell_status(task)
        for kind in LISTS:
            await self._notify(f"notifications/{kind}/list_changed", {})
        for uri in sorted(following.uris):
            await self._notify("notifications/resources/updated", {"uri": uri})

    async def _look_for_tasks(self, group: TaskGroup) -> None:
        for task_id in await self.parts.service.unfinished_of_session(self.session.owner, self.session.id):
            self._follow(task_id, group)

    def _follow(self, task_id: str, group: TaskGroup) -> None:
        if task_id not in self.followed:
            self.followed[task_id] = None
            group.start_soon(self._tell_task, task_id)

    async def _look_at_subscriptions(self, following: Following) -> None:
        following.uris = await self.parts.sessions.subscriptions(self.session.id, self.session.owner)

    async def _tell_news(self, following: Following, group: TaskGroup) -> None:
        while True:
            match await following.next():
                case SessionTask(_, task_id):
                    self._follow(task_id, group)
                case ResourceUpdated(uri):
                    await self._notify("notifications/resources/updated", {"uri": uri})
                case VoiceTaken() as signal:
                    await self.voice.hear(signal)
                case SessionMessage():
                    pass  # It is for whoever holds the stream.
                case SessionChanged():
                    await self._look_again(following, group)
                case Resync():
                    await self._look_again(following, group)
                    await self._look_for_tasks(group)
                case RequestCancelled():
                    pass

    async def _look_again(self, following: Following, group: TaskGroup) -> None:
        state = await self.parts.sessions.find(self.session.id)
        if state is not None and state.ended:
            group.cancel_scope.cancel()
            return
        if state is not None and state.log_level is not None:
            self.session = replace(self.session, log_level=state.log_level)
            for narrator in filter(None, self.followed.values()):
                narrator.log_level = state.log_level
        await self._look_at_subscriptions(following)

    async def _look_again_now_and_then(self, following: Following) -> None:
        while True:
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
            following.offer(Resync())

    async def _tell_lists(self, changes: Queue[frozenset[OfferKind]]) -> None:
        while True:
            for kind in sorted(await changes.get()):
                await self._notify(f"notifications/{kind}/list_changed", {})

    async def _tell_task(self, task_id: str) -> None:
        try:
            async with self.parts.service.watch(self.session.owner, [task_id], signals=True) as watch:
                await self._tell_events(watch)
        finally:
            narrator = self.followed.pop(task_id)
            if narrator is not None:
                await narrator.leave()

    async def _tell_events(self, watch: Watch) -> None:
        shown: dict[str, Any] | None = None
        narrator: Narrator | None = None
        alarms = _Alarms()
        while (event := await _next(watch, alarms.next)) is not None or alarms.next is not None:
            if event is None:
                await alarms.ring()
                continue
            if isinstance(event, Task):
                if narrator is None:
                    narrator = await self._narrator(event)
                status = {
                    name: value for name, value in task_fields(event).items() if name != "lastUpdatedAt"
                }
                if status != shown:
                    shown = status
                    await self._tell_status(event)
            if narrator is not None:
                await narrator.hear(event)
                if narrator.has_unasked:
                    alarms.set(narrator.ask, WAITER_SECONDS)
                if narrator.has_untold and isinstance(event, Task) and event.created_at >= self.opened_ms:
                    alarms.set(narrator.tell_untold, HEARD_WITHIN_SECONDS)

    async def _narrator(self, task: Task) -> Narrator:
        voice = Voice(self.parts.bus, task.id, self.numbering.stream, claims=False, under=self.voice)
        narrator = Narrator(
            self.parts,
            self.session,
            self.outlet,
            task.id,
            voice,
            progress_token=task.origin.progress_token,
            is_handle=True,
            mark=lambda _: self._event_id(),
            place=Place(),
            asks_at_once=False,
        )
        if task.created_at < self.opened_ms:
            await narrator.skip_lines()
        else:
            await narrator.catch_up()
        await voice.ask_who_speaks()
        self.followed[task.id] = narrator
        return narrator

    async def _tell_status(self, task: Task) -> None:
        self.since_ms = max(self.since_ms or 0, task.updated_at)
        await self._notify("notifications/tasks/status", task_fields(self.parts.waiting.explained(task)))

    async def _notify(self, method: str, params: dict[str, Any]) -> None:
        # A session may have several of these streams; the newest tells.
        if self.voice.may_speak:
            await self.outlet.notify(method, params, self._event_id())

    def _event_id(self) -> str:
        return self.numbering.write(StandingMark(self.since_ms or 0))


class _Alarms:
    """What is to be done after a while, each thing once."""

    def __init__(self) -> None:
        self._times: dict[Callable[[], Awaitable[None]], float] = {}

    @property
    def next(self) -> float | None:
        return min(self._times.values(), default=None)

    def set(self, task: Callable[[], Awaitable[None]], after_seconds: float) -> None:
        """Unless it is set already."""
        self._times.setdefault(task, anyio.current_time() + after_seconds)

    async def ring(self) -> None:
        """Do what is due."""
        now = anyio.current_time()
        for task in [task for task, at in self._times.items() if at <= now]:
            del self._times[task]
            await task()


async def _next(watch: Watch, until: float | None) -> Task | LiveSignal | None:
    """The next event; None if there is none any more, or none until then."""
    with suppress(StopAsyncIteration):
        if until is None:
            return await anext(watch)
        with anyio.CancelScope(deadline=until):
            return await anext(watch)
    return None
