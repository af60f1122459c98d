"""What concerns a client's session, for whoever holds a stream of it: read from the bus once, sorted by session."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from tasks_server.bus import Bus
from tasks_server.signals import (
    RequestCancelled,
    ResourceUpdated,
    Resync,
    SessionChanged,
    SessionMessage,
    SessionTask,
    Signal,
    VoiceTaken,
)

News = (
    SessionTask | SessionChanged | SessionMessage | RequestCancelled | ResourceUpdated | VoiceTaken | Resync
)

MOST_UNREAD = 1_000


class Following:
    """The news of one session. Who falls behind is told to look again at everything."""

    def __init__(self) -> None:
        self.uris: frozenset[str] = frozenset()
        """The resources whose changes are news."""
        self._unread: asyncio.Queue[News] = asyncio.Queue()

    def offer(self, news: News) -> None:
        if self._unread.qsize() >= MOST_UNREAD:
            while not self._unread.empty():
                self._unread.get_nowait()
            news = Resync()
        self._unread.put_nowait(news)

    async def next(self) -> News:
        return await self._unread.get()


class SessionNews:
    """One per process. `run` sorts until cancelled."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._by_session: dict[str, set[Following]] = defaultdict(set)

    @asynccontextmanager
    async def follow(self, session_id: str) -> AsyncGenerator[Following]:
        """Everything about the session from now on. Its voice is the one of its own GET streams."""
        following = Following()
        self._by_session[session_id].add(following)
        try:
            yield following
        finally:
            self._by_session[session_id].discard(following)
            if not self._by_session[session_id]:
                del self._by_session[session_id]

    async def run(self) -> None:
        kinds = (SessionTask, SessionChanged, SessionMessage, RequestCancelled, ResourceUpdated, VoiceTaken)
        async with self._bus.subscribe(*kinds) as signals:
            self._offer(
                Resync(), self._everybody()
            )  # a former run may have failed in the middle of something
            async for signal in signals:
                self._sort(signal)

    def _sort(self, signal: Signal) -> None:
        match signal:
            case (
                SessionTask(session_id)
                | SessionChanged(session_id)
                | SessionMessage(session_id)
                | RequestCancelled(session_id)
                | VoiceTaken(session_id)
            ):
                self._offer(signal, self._by_session.get(session_id, ()))
            case ResourceUpdated(uri):
                self._offer(signal, [each for each in self._everybody() if uri in each.uris])
            case Resync():
                self._offer(signal, self._everybody())
            case _:
                pass

    def _everybody(self) -> list[Following]:
        return [following for followings in self._by_session.values() for following in followings]

    def _offer(self, news: News, followings: Iterable[Following]) -> None:
        for following in followings:
            following.offer(news)
