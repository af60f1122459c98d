"""What servers push about tasks. Nothing depends on it: without it the record is asked, only later.

All tasks that are followed over one session share one event stream (`subscriptions/listen` names them all), so that
a thousand calls cost one connection. Whoever follows a task is ready to hold that stream, and one of them does.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager

import anyio
import mcp_types as types
from mcp import ClientSession, MCPError

from tasks_server.client.messages import DetailedTask, listen_request

MAX_TASKS = 1000  # the most that tasks-server takes on one stream; the others are polled
GATHER_SECONDS = 0.05
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0
REFUSALS = (types.METHOD_NOT_FOUND, types.INVALID_PARAMS, types.MISSING_REQUIRED_CLIENT_CAPABILITY)


class Inbox:
    """The newest snapshot that was pushed and not yet taken.

    is_live: something has come over the stream that is open now, so its silence means that nothing happens.
    """

    def __init__(self) -> None:
        self.is_live = False
        self._newest: DetailedTask | None = None
        self._news = anyio.Event()

    def put(self, task: DetailedTask) -> None:
        """Notifications may overtake each other on their way through the SDK; an older one is dropped."""
        self.is_live = True
        if self._newest is None or not is_older(task, self._newest):
            self._newest = task
        self._news.set()

    def lost(self) -> None:
        """The stream has ended."""
        self.is_live = False
        self._news.set()

    async def wait(self) -> None:
        """For a snapshot, or for the end of the stream."""
        await self._news.wait()

    def take(self) -> DetailedTask | None:
        self._news = anyio.Event()
        task, self._newest = self._newest, None
        return task


class TaskStream:
    """The inboxes of one session, and the stream that fills them."""

    def __init__(self) -> None:
        self._inboxes: dict[str, list[Inbox]] = {}
        self._more = anyio.Event()
        self._turn = anyio.Lock()

    @contextmanager
    def inbox(self, task_id: str) -> Generator[Inbox]:
        """Where snapshots of this task arrive while the block is open and somebody listens."""
        inbox = Inbox()
        inboxes = self._inboxes.setdefault(task_id, [])
        inboxes.append(inbox)
        self._more.set()
        try:
            yield inbox
        finally:
            inboxes.remove(inbox)
            if not inboxes:
                del self._inboxes[task_id]  # the stream that is open may go on naming it

    def deliver(self, task: DetailedTask) -> None:
        for inbox in self._inboxes.get(task.task_id, ()):
            inbox.put(task)

    async def listen(self, session: ClientSession) -> None:
        """Hold the stream when nobody else does, until the server refuses it; it ends with whoever called this."""
        async with self._turn:
            pause = FIRST_PAUSE_SECONDS
            while True:
                self._more = anyio.Event()
                opened_at = anyio.current_time()
                if await self._refused(session):
                    return
                if self._more.is_set():
                    await anyio.sleep(GATHER_SECONDS)  # calls rarely come alone
                    continue
                if anyio.current_time() - opened_at > LONGEST_PAUSE_SECONDS:
                    pause = FIRST_PAUSE_SECONDS
                await anyio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _refused(self, session: ClientSession) -> bool:
        """Open the stream for all, and keep it until it ends or has to name one more."""
        refused = False
        more = self._more
        try:
            async with anyio.create_task_group() as group:

                async def reopen() -> None:
                    await more.wait()
                    group.cancel_scope.cancel()

                group.start_soon(reopen)
                refused = await _hold(session, list(self._inboxes)[-MAX_TASKS:])
                group.cancel_scope.cancel()
        finally:
            for inboxes in self._inboxes.values():
                for inbox in inboxes:
                    inbox.lost()
        return refused


async def _hold(session: ClientSession, task_ids: list[str]) -> bool:
    """One stream to its end; whether it was refused. What it brings arrives through the notification binding."""
    try:
        await session.send_request(listen_request(task_ids), types.Result, math.inf)
    except MCPError as error:
        return error.code in REFUSALS
    return False


def is_older(task: DetailedTask, than: DetailedTask) -> bool:
    if task.last_updated_at is None or than.last_updated_at is None:
        return False
    return task.last_updated_at < than.last_updated_at
