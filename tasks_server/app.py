"""The server's composition root: the only file that wires all its parts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
from starlette.applications import Starlette

from tasks_server.artifacts import ArtifactStore
from tasks_server.artifacts.choice import file_store
from tasks_server.bus import Bus
from tasks_server.catalog import Catalog
from tasks_server.defects import Defects, keep_running
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.quotas import Quotas
from tasks_server.lifecycle.requests import ClientRequests
from tasks_server.protocol.parts import Parts
from tasks_server.queue import TaskQueue
from tasks_server.readiness import readiness
from tasks_server.redis_client import UNAVAILABLE, connect, connect_blocking
from tasks_server.seal import Seal
from tasks_server.service import TaskService
from tasks_server.settings import Settings
from tasks_server.store.database import Database
from tasks_server.store.migrate import check_migrated
from tasks_server.store.reading import TaskReader
from tasks_server.store.roster import Roster
from tasks_server.transport.http import create_http_app
from tasks_server.waiting import Waiting
from tasks_server.watch import Watchers


def build_app(settings: Settings) -> Starlette:
    """The server as an ASGI application, whose lifespan owns every connection and background task.

    Raises ConfigurationError here for settings that cannot work, and on start-up for a database that is not
    migrated.
    """
    seal = Seal(settings.secret_key.get_secret_value())
    database = Database(settings.database_url)
    redis = connect(settings.redis_url)
    bus = Bus(redis, connect_blocking(settings.redis_url))
    defects = Defects()
    catalog = _catalog(settings, database, bus)
    reader = TaskReader(database)
    watchers = Watchers(bus, reader)
    requests = ClientRequests(database, Announcer(TaskQueue(redis), bus), Quotas.of(settings))
    longest = settings.max_retention_seconds
    parts = Parts(
        service=TaskService(reader, requests, watchers),
        catalog=catalog,
        waiting=Waiting(catalog, bus),
        bus=bus,
        seal=seal,
        artifacts=ArtifactStore(database, file_store(settings)),
        max_retention_ms=None if longest is None else int(longest * 1000),
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        try:
            await check_migrated(database)
            await catalog.load()
            async with _kept_running(defects, bus, catalog, watchers):
                yield
        finally:
            await bus.close()
            with suppress(*UNAVAILABLE):
                await redis.aclose()
            await database.close()

    look = partial(readiness, database, bus, catalog, defects)
    return create_http_app(parts, settings, look, lifespan)


def _catalog(settings: Settings, database: Database, bus: Bus) -> Catalog:
    return Catalog(
        Roster(database),
        bus,
        live_within_ms=int(settings.lease_seconds * 1000),
        absence_ms=int(settings.tool_absence_seconds * 1000),
    )


@asynccontextmanager
async def _kept_running(defects: Defects, *parts: Bus | Catalog | Watchers) -> AsyncGenerator[None]:
    async with anyio.create_task_group() as background:
        for part in parts:
            background.start_soon(keep_running, part.run, f"the {type(part).__name__.lower()}", defects)
        yield
        background.cancel_scope.cancel()
