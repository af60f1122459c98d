"""A worker process: publishes what it offers, takes work from its queues, keeps its leases, and leaves in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from contextlib import suppress
from uuid import uuid4

import anyio
from arq.connections import ArqRedis

from tasks_server.artifacts import ArtifactStore
from tasks_server.artifacts.choice import file_store
from tasks_server.bus import Bus, CatalogChanged
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.claims import Claims
from tasks_server.lifecycle.deadlines import Deadlines
from tasks_server.lifecycle.failures import Failures
from tasks_server.lifecycle.upkeep import Upkeep
from tasks_server.queue import TaskQueue
from tasks_server.redis_client import UNAVAILABLE, connect, connect_blocking
from tasks_server.settings import Settings
from tasks_server.store.database import DATABASE_UNAVAILABLE, Database
from tasks_server.store.migrate import check_migrated
from tasks_server.store.roster import Roster
from workers.leases import Leases
from workers.maintenance import Maintenance
from workers.queues import Queues
from workers.registry import Registry
from workers.runner import Runner
from workers.setbacks import Setbacks

log = logging.getLogger(__name__)

DEFAULT_CONCURRENCY = 10
STOP_SECONDS = 8.0


async def run_worker(
    settings: Settings, registry: Registry, *, concurrency: int = DEFAULT_CONCURRENCY
) -> None:
    """Work until SIGTERM or SIGINT, then finish or hand back what is running and return.

    Raises ConfigurationError when the settings cannot work or the database is not migrated.
    """
    database = Database(settings.database_url)
    redis = connect(settings.redis_url)
    bus = Bus(redis, connect_blocking(settings.redis_url))
    try:
        await check_migrated(database)
        await Worker(settings, registry, database, redis, bus, concurrency=concurrency).run()
    finally:
        await bus.close()
        with suppress(*UNAVAILABLE):
            await redis.aclose()
        await database.close()


class Worker:
    """Wires the parts of a worker together, keeps them running, and ends them in order."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        database: Database,
        redis: ArqRedis,
        bus: Bus,
        *,
        concurrency: int,
    ) -> None:
        self.id = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        self._registry = registry
        self._concurrency = concurrency
        self._grace_seconds = settings.shutdown_grace_seconds
        self._bus = bus
        self._roster = Roster(database)
        queue = TaskQueue(redis)
        announcer = Announcer(queue, bus)
        artifacts = ArtifactStore(database, file_store(settings))
        lease_ms = int(settings.lease_seconds * 1000)
        claims = Claims(database, announcer, worker_id=self.id, lease_ms=lease_ms)
        self._runner = Runner(
            registry,
            queue,
            claims,
            announcer,
            artifacts,
            setbacks=Setbacks(Failures(database, announcer, claims), registry),
            park_after_seconds=settings.park_after_seconds,
            max_run_ms=None if settings.max_run_seconds is None else int(settings.max_run_seconds * 1000),
            publish_catalog=self.publish_catalog,
        )
        self._queues = Queues(redis, settings.redis_url, concurrency, self._runner.run)
        self._leases = Leases(
            claims, self._runner, bus, self._say_alive, lease_seconds=settings.lease_seconds
        )
        self._maintenance = Maintenance(
            Upkeep(database, queue, announcer),
            Deadlines(database, announcer),
            self._roster,
            artifacts,
            absence_ms=int(max(settings.tool_absence_seconds, settings.lease_seconds) * 1000),
        )

    async def run(self) -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        try:
            await self._enter()
            async with anyio.create_task_group() as group:
                for part in (
                    self._bus.run,
                    self._leases.keep,
                    self._leases.act_on_nudges,
                    self._queues.listen_for_wakes,
                    self._maintenance.run,
                ):
                    group.start_soon(part)
                self._queues.serve(self._registry.manifest().queues)
                await stopping.wait()
                await self._leave()
                group.cancel_scope.cancel()
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def publish_catalog(self) -> None:
        """Tell everybody that what this worker offers has changed."""
        manifest = self._registry.manifest()
        if not await self._roster.offer(self.id, manifest):
            await self._write_in()
        self._queues.serve(manifest.queues)
        await self._bus.publish(CatalogChanged())

    async def _enter(self) -> None:
        await self._write_in()
        await self._bus.publish(CatalogChanged())
        manifest = self._registry.manifest()
        offered = ", ".join(offer.name for offer in manifest.tools) or "no tools"
        log.info("worker %s offers %s on queue %s", self.id, offered, ", ".join(manifest.queues) or "none")

    async def _write_in(self) -> None:
        await self._roster.enter(
            self.id,
            host=socket.gethostname(),
            pid=os.getpid(),
            concurrency=self._concurrency,
            manifest=self._registry.manifest(),
        )

    async def _say_alive(self) -> None:
        if not await self._roster.renew(self.id):
            await self._write_in()

    async def _leave(self) -> None:
        """Take no more, say so, let short work finish, and hand the rest back uncharged."""
        self._queues.stop_picking()
        with suppress(*DATABASE_UNAVAILABLE):
            await self._roster.leave(self.id)
        await self._bus.publish(CatalogChanged())
        if self._runner.sessions:
            log.info("worker %s is leaving; still running: %d", self.id, len(self._runner.sessions))
        await self._queues.until_idle(self._grace_seconds)
        self._runner.leave()
        await self._queues.until_idle(STOP_SECONDS)
        await self._queues.close()
