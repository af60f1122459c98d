"""The server's composition root: the only file that wires all its parts, whatever they are reached through."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

import anyio

from tasks_server.artifacts import ArtifactStore
from tasks_server.artifacts.choice import file_store
from tasks_server.bus import Bus
from tasks_server.catalog import Catalog
from tasks_server.defects import Defects, keep_running
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.quotas import Quotas
from tasks_server.lifecycle.requests import ClientRequests
from tasks_server.protocol.parts import Parts
from tasks_server.put_questions import PutQuestions
from tasks_server.queue import TaskQueue
from tasks_server.readiness import Readiness, readiness
from tasks_server.redis_client import UNAVAILABLE, connect, connect_blocking
from tasks_server.seal import Seal
from tasks_server.service import TaskService
from tasks_server.session_mail import SessionMail
from tasks_server.session_news import SessionNews
from tasks_server.sessions import Sessions
from tasks_server.settings import Settings
from tasks_server.store.database import Database
from tasks_server.store.lists import TaskLists
from tasks_server.store.migrate import check_migrated
from tasks_server.store.reading import TaskReader
from tasks_server.store.roster import Roster
from tasks_server.waiting import Waiting
from tasks_server.watchers import Watchers


@dataclass(frozen=True, slots=True)
class Assembly:
    """A server without a way in. running: owns every connection and background task, for as long as it is held.

    running raises ConfigurationError for a database that is not migrated.
    """

    parts: Parts
    look: Callable[[], Awaitable[Readiness]]
    running: Callable[[], AbstractAsyncContextManager[None]]


def assemble(settings: Settings) -> Assembly:
    """Raises ConfigurationError for settings that cannot work."""
    seal = Seal(settings.secret_key.get_secret_value())
    database = Database(settings.database_url)
    redis = connect(settings.redis_url)
    bus = Bus(redis, connect_blocking(settings.redis_url))
    defects = Defects()
    roster = Roster(database)
    catalog = Catalog(
        roster,
        bus,
        live_within_ms=int(settings.lease_seconds * 1000),
        absence_ms=int(settings.tool_absence_seconds * 1000),
    )
    reader = TaskReader(database)
    watchers = Watchers(bus, reader)
    session_news = SessionNews(bus)
    put_questions = PutQuestions(redis)
    requests = ClientRequests(database, Announcer(TaskQueue(redis), bus), Quotas.of(settings))
    parts = Parts(
        service=TaskService(reader, TaskLists(database), requests, watchers),
        sessions=Sessions(database, bus),
        session_news=session_news,
        session_mail=SessionMail(redis, bus),
        put_questions=put_questions,
        catalog=catalog,
        waiting=Waiting(catalog, bus),
        bus=bus,
        seal=seal,
        artifacts=ArtifactStore(database, file_store(settings)),
        max_retention_ms=(
            None if settings.max_retention_seconds is None else int(settings.max_retention_seconds * 1000)
        ),
        attached_wait_seconds=settings.attached_wait_seconds or None,
        tells_callers_apart=not settings.allow_unauthenticated,
    )

    @asynccontextmanager
    async def running() -> AsyncGenerator[None]:
        try:
            await check_migrated(database)
            await catalog.load()
            async with anyio.create_task_group() as background:
                for where, part in (
                    ("listening for changes", bus),
                    ("the catalog", catalog),
                    ("following tasks", watchers),
                    ("following sessions", session_news),
                    ("keeping questions", put_questions),
                ):
                    background.start_soon(keep_running, part.run, where, defects)
                yield
                background.cancel_scope.cancel()
        finally:
            await bus.close()
            with suppress(*UNAVAILABLE):
                await redis.aclose()
            await database.close()

    return Assembly(parts, partial(readiness, database, bus, catalog, defects), running)
