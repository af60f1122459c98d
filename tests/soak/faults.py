"""Every fault that the soak can make: break a part, wait a little, mend it."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import asyncpg

from tests.soak.fleet import Fleet, Member, locked_sqlite, pause, resume
from tests.support import redis_keys

LOCK_ROWS = "SELECT id FROM task WHERE finished_at IS NULL ORDER BY random() LIMIT 5 FOR UPDATE"
END_OTHERS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""


class Breaker:
    """What the faults need: the fleet, a random generator, and one fault per part at a time."""

    def __init__(self, fleet: Fleet, choice: random.Random) -> None:
        self.fleet = fleet
        self.choice = choice
        self._server = asyncio.Lock()

    @asynccontextmanager
    async def part(self, name: str) -> AsyncGenerator[Member | None]:
        """A worker or a server that nobody else is breaking now; or the only Redis, or the only database."""
        if name == "redis":
            async with self.fleet.valkey_lock:
                yield None
        elif name == "database":
            async with self.fleet.database_lock:
                yield None
        elif name == "server":  # never both: a client that asks the other one is served
            async with self._server, self._member(self.fleet.servers) as member:
                yield member
        else:
            async with self._member(self.fleet.workers) as member:
                yield member

    @asynccontextmanager
    async def _member(self, members: list[Member]) -> AsyncGenerator[Member]:
        member = self.choice.choice([each for each in members if not each.lock.locked()])
        async with member.lock:
            yield member

    async def wait(self, at_least: float, at_most: float) -> None:
        await asyncio.sleep(self.choice.uniform(at_least, at_most))


async def _replace(breaker: Breaker, member: Member | None, number: signal.Signals) -> None:
    assert member is not None
    await member.end(number)
    await breaker.wait(0, 1.5)
    await member.start()


async def _kill(breaker: Breaker, member: Member | None) -> None:
    await _replace(breaker, member, signal.SIGKILL)


async def _terminate(breaker: Breaker, member: Member | None) -> None:
    await _replace(breaker, member, signal.SIGTERM)


async def _pause_past_lease(breaker: Breaker, member: Member | None) -> None:
    assert member is not None
    pause(member)
    try:
        lease = breaker.fleet.lease_seconds
        await breaker.wait(lease * 1.2, lease * 2)
    finally:
        resume(member)


async def _flush(breaker: Breaker, _: Member | None) -> None:
    await breaker.fleet.aside(lambda: redis_keys.flush(breaker.fleet.valkey.url))


async def _restart_empty(breaker: Breaker, _: Member | None) -> None:
    await breaker.fleet.aside(breaker.fleet.valkey.kill)
    await breaker.wait(0, 2)
    await breaker.fleet.aside(breaker.fleet.valkey.start)


async def _silence(breaker: Breaker, _: Member | None) -> None:
    breaker.fleet.valkey.pause()
    try:
        await breaker.wait(1, 3)
    finally:
        breaker.fleet.valkey.resume()


async def _cut_redis(breaker: Breaker, _: Member | None) -> None:
    def cut() -> None:
        client = redis_keys.connect(breaker.fleet.valkey.url)
        with closing(client):
            for kind in ("normal", "pubsub"):
                client.client_kill_filter(_type=kind, skipme=True)

    await breaker.fleet.aside(cut)


async def _lock(breaker: Breaker, _: Member | None) -> None:
    """On PostgreSQL the rows of some unfinished tasks, on SQLite everything."""
    if breaker.fleet.postgres is None:
        with closing(locked_sqlite(breaker.fleet.database_url)):
            await breaker.wait(0.3, 2)
        return
    connection = await _connect(breaker)
    try:
        async with connection.transaction():
            await connection.fetch(LOCK_ROWS)
            await breaker.wait(0.3, 2)
    finally:
        await connection.close()


async def _cut_postgres(breaker: Breaker, _: Member | None) -> None:
    connection = await _connect(breaker)
    await connection.execute(END_OTHERS)
    await connection.close()


async def _restart_postgres(breaker: Breaker, _: Member | None) -> None:
    assert breaker.fleet.postgres is not None
    await breaker.fleet.aside(breaker.fleet.postgres.stop)
    await breaker.wait(0, 1.5)
    await breaker.fleet.aside(breaker.fleet.postgres.start)


async def _crash_postgres(breaker: Breaker, _: Member | None) -> None:
    assert breaker.fleet.postgres is not None
    await breaker.fleet.aside(breaker.fleet.postgres.kill)
    await breaker.wait(0, 1.5)
    await breaker.fleet.aside(breaker.fleet.postgres.start)


async def _connect(breaker: Breaker) -> Any:
    assert breaker.fleet.postgres is not None
    host = str(breaker.fleet.postgres.directory)
    return await asyncpg.connect(host=host, user="postgres", database="postgres")


@dataclass(frozen=True, slots=True)
class Kind:
    """weight: how often it is chosen, compared with the others."""

    name: str
    part: str
    weight: int
    action: Callable[[Breaker, Member | None], Coroutine[Any, Any, None]]
    only_postgresql: bool = False


KINDS = (
    Kind("worker: kill -9", "worker", 5, _kill),
    Kind("worker: SIGTERM", "worker", 3, _terminate),
    Kind("worker: SIGSTOP past its lease, SIGCONT", "worker", 3, _pause_past_lease),
    Kind("server: kill -9", "server", 3, _kill),
    Kind("server: SIGTERM", "server", 2, _terminate),
    Kind("Redis: FLUSHALL", "redis", 3, _flush),
    Kind("Redis: kill -9, back empty", "redis", 2, _restart_empty),
    Kind("Redis: silent for 1 to 3 s", "redis", 2, _silence),
    Kind("Redis: all connections cut", "redis", 2, _cut_redis),
    Kind("database: rows (SQLite: the file) locked", "database", 3, _lock),
    Kind("PostgreSQL: all connections terminated", "database", 3, _cut_postgres, only_postgresql=True),
    Kind("PostgreSQL: restarted", "database", 1, _restart_postgres, only_postgresql=True),
    Kind("PostgreSQL: crashed and recovered", "database", 1, _crash_postgres, only_postgresql=True),
)
