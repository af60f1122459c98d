"""A worker process: publishes what it offers, takes work from its queues, keeps its leases, and leaves in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from uuid import uuid4

import anyio
from arq.connections import ArqRedis

from tasks_server.artifacts import ArtifactStore
from tasks_server.artifacts.choice import file_store
from tasks_server.bus import Bus
from tasks_server.defects import Defects, keep_running
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.behind_breakers import BehindBreakers
from tasks_server.lifecycle.breakers import BreakerPolicy, Breakers
from tasks_server.lifecycle.claims import Claims
from tasks_server.lifecycle.deadlines import Deadlines
from tasks_server.lifecycle.expiry import Expiry
from tasks_server.lifecycle.failures import Failures
from tasks_server.lifecycle.quotas import Quotas
from tasks_server.lifecycle.upkeep import Upkeep
from tasks_server.lifecycle.window import DispatchWindow
from tasks_server.queue import TaskQueue
from tasks_server.redis_client import UNAVAILABLE, connect, connect_blocking
from tasks_server.settings import Settings
from tasks_server.signals import CatalogChanged
from tasks_server.store.database import DATABASE_UNAVAILABLE, Database
from tasks_server.store.migrate import check_migrated
from tasks_server.store.roster import Roster
from workers.abridging import ResultLimits
from workers.database_watch import DatabaseWatch
from workers.leases import Leases
from workers.maintenance import Maintenance
from workers.queues import Queues
from workers.registry import Registry
from workers.runner import Runner
from workers.setbacks import Setbacks
from workers.stall import StallWatch

log = logging.getLogger(__name__)

DEFAULT_CONCURRENCY = 10
STOP_SECONDS = 8.0
EVIDENCE_SECONDS = 5.0


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
        worker = Worker(settings, registry, database, redis, bus, concurrency=concurrency)
        async with anyio.create_task_group() as group:
            group.start_soon(stall_watch(settings, worker).run)
            await worker.run()
            group.cancel_scope.cancel()
    finally:
        await bus.close()
        with suppress(*UNAVAILABLE):
            await redis.aclose()
        await database.close()


def stall_watch(settings: Settings, worker: Worker) -> StallWatch:
    """Watches over the event loop of a worker, and leaves what it finds in the blocking task's event log."""

    def keep_evidence(task_id: str, text: str) -> None:
        try:
            asyncio.run(asyncio.wait_for(worker.note_from_thread(settings, task_id, text), EVIDENCE_SECONDS))
        except Exception as error:
            log.warning("task %s: what blocks its worker cannot be recorded: %s", task_id, error)

    lease = settings.lease_seconds
    return StallWatch(
        worker.running,
        keep_evidence,
        warn_seconds=settings.stall_warning_leases * lease,
        end_seconds=settings.stall_end_leases * lease or None,
    )


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
        self._defects = Defects()
        self.id = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        self._registry = registry
        self._concurrency = concurrency
        self._grace_seconds = settings.shutdown_grace_seconds
        self._bus = bus
        self._roster = Roster(database)
        queue = TaskQueue(redis)
        self._announcer = Announcer(queue, bus)
        self._window = DispatchWindow(database, queue, Quotas.of(settings))
        self._breakers = Breakers(
            database,
            BreakerPolicy(settings.breaker_failures, int(settings.breaker_cooldown_seconds * 1000)),
        )
        claims = Claims(
            database,
            self._announcer,
            self._breakers,
            worker_id=self.id,
            lease_ms=int(settings.lease_seconds * 1000),
            window=self._window,
        )
        artifacts = ArtifactStore(database, file_store(settings))
        self._runner = self._make_runner(settings, database, queue, claims, artifacts)
        self._queues = Queues(redis, settings.redis_url, concurrency, self._runner.run)
        self._database_watch = DatabaseWatch(self._queues, self._say_alive)
        self._leases = Leases(
            claims,
            self._runner,
            bus,
            self._say_alive,
            self._database_watch.lost,
            self._defects,
            lease_seconds=settings.lease_seconds,
        )
        self._maintenance = self._make_maintenance(settings, database, queue, artifacts)

    def _make_runner(
        self,
        settings: Settings,
        database: Database,
        queue: TaskQueue,
        claims: Claims,
        artifacts: ArtifactStore,
    ) -> Runner:
        return Runner(
            self._registry,
            queue,
            claims,
            self._announcer,
            artifacts,
            setbacks=Setbacks(Failures(database, self._announcer, claims, self._breakers), self._registry),
            park_after_seconds=settings.park_after_seconds,
            max_run_ms=None if settings.max_run_seconds is None else int(settings.max_run_seconds * 1000),
            limits=ResultLimits(settings.inline_result_bytes, settings.max_result_bytes),
            publish_catalog=self.publish_catalog,
            database_lost=lambda error: self._database_watch.lost(error),
        )

    def _make_maintenance(
        self, settings: Settings, database: Database, queue: TaskQueue, artifacts: ArtifactStore
    ) -> Maintenance:
        return Maintenance(
            Upkeep(database, queue, self._announcer),
            Deadlines(database, self._announcer),
            self._window,
            Expiry(database, self._announcer),
            BehindBreakers(database, queue, self._announcer, self._window),
            self._roster,
            artifacts,
            self._defects,
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
                for where, part in (
                    ("listening for changes", self._bus.run),
                    ("renewing leases", self._leases.keep),
                    ("acting on nudges", self._leases.act_on_nudges),
                    ("watching the database", self._database_watch.run),
                    ("listening for wake-ups", self._queues.listen_for_wakes),
                    ("maintenance", self._maintenance.run),
                    ("refilling dispatch windows", self._window.run),
                ):
                    group.start_soon(keep_running, part, where, self._defects)
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

    def running(self) -> Sequence[str]:
        """The tasks that run here, by id."""
        return list(self._runner.sessions)

    async def note_from_thread(self, settings: Settings, task_id: str, text: str) -> None:
        """Append to the event log of a task that runs here, from another thread than the worker's own."""
        session = self._runner.sessions[task_id]
        database = Database(settings.database_url)
        try:
            claims = Claims(database, self._announcer, self._breakers, worker_id=self.id, lease_ms=0)
            await claims.note(session.held, [{"level": "error", "data": text, "logger": "stalls"}])
        finally:
            await database.close()

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
        known = await self._roster.renew(
            self.id,
            picked_ago_ms=self._queues.picked_ago_ms(),
            trouble="; ".join(self._defects.current()) or None,
        )
        if not known:
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
