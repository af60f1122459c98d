"""The record under test: every part of one process around a database and a Valkey, wired as in production."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tasks_server.artifacts import ArtifactStore
from tasks_server.artifacts.directory import DirectoryStore
from tasks_server.bus import Bus
from tasks_server.encoding import encode_text
from tasks_server.lifecycle.announce import Announcer
from tasks_server.lifecycle.behind_breakers import BehindBreakers
from tasks_server.lifecycle.breakers import BreakerPolicy, Breakers
from tasks_server.lifecycle.claims import Claims
from tasks_server.lifecycle.deadlines import Deadlines
from tasks_server.lifecycle.expiry import Expiry
from tasks_server.lifecycle.failures import Failures
from tasks_server.lifecycle.fence import Held
from tasks_server.lifecycle.questions import Asked, Question
from tasks_server.lifecycle.quotas import USUAL_QUOTAS, Quotas
from tasks_server.lifecycle.requests import ClientRequests
from tasks_server.lifecycle.upkeep import Upkeep
from tasks_server.lifecycle.window import DispatchWindow
from tasks_server.queue import TaskQueue, queue_key
from tasks_server.redis_client import connect, connect_blocking
from tasks_server.service import TaskService
from tasks_server.sessions import Sessions
from tasks_server.store.database import Database
from tasks_server.store.lists import TaskLists
from tasks_server.store.reading import TaskReader
from tasks_server.store.roster import Roster
from tasks_server.store.rows import task_from_row
from tasks_server.store.statements.history import whole_task
from tasks_server.task import Door, Method, NewTask, Origin, OutcomeKind, Task
from tasks_server.watchers import Watchers

OWNER = "anonymous"
RESULT = '{"content":[],"isError":false}'
YEAR_MS = 365 * 24 * 60 * 60 * 1000

ORIGIN = Origin(Door.HANDLE, "2026-07-28", {"elicitation": {}})
ATTACHED = Origin(Door.ATTACHED, "2026-07-28", {"elicitation": {}})

ASK_NAME: dict[str, Any] = {
    "method": "elicitation/create",
    "params": {
        "message": "What is your name?",
        "requestedSchema": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
        },
    },
}


def asking(message: str) -> dict[str, Any]:
    """Another question with the same form."""
    return {**ASK_NAME, "params": {**ASK_NAME["params"], "message": message}}


def accept(name: str) -> dict[str, Any]:
    """A fitting answer to `ASK_NAME`."""
    return {"action": "accept", "content": {"name": name}}


def new_task(**changes: Any) -> NewTask:
    fields: dict[str, Any] = {
        "owner": OWNER,
        "method": Method.CALL_TOOL,
        "name": "convert",
        "queue": "default",
        "arguments": '{"source":"a.pdf"}',
        "origin": ORIGIN,
        "retention_ms": YEAR_MS,
        "poll_interval_ms": 1000,
        "run_timeout_ms": None,
        "max_retries": 3,
    }
    return NewTask(**{**fields, **changes})


def held(task: Task) -> Held:
    """The fence of somebody who holds, or held, this task at this attempt."""
    return Held(task.id, task.attempt)


@dataclass
class Record:
    """One process's parts. Open a second one over the same URLs to be a second process."""

    database_url: str
    redis_url: str
    directory: Path
    quotas: Quotas = USUAL_QUOTAS
    _background: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    def __post_init__(self) -> None:
        self.database = Database(self.database_url)
        self.redis = connect(self.redis_url)
        self.queue = TaskQueue(self.redis)
        self.bus = Bus(self.redis, connect_blocking(self.redis_url))
        self.announcer = Announcer(self.queue, self.bus)
        self.requests = ClientRequests(self.database, self.announcer, self.quotas)
        self.window = DispatchWindow(self.database, self.queue, self.quotas)
        self.upkeep = Upkeep(self.database, self.queue, self.announcer)
        self.deadlines = Deadlines(self.database, self.announcer)
        self.expiry = Expiry(self.database, self.announcer)
        self.breakers = Breakers(self.database, BreakerPolicy())
        self.behind_breakers = BehindBreakers(self.database, self.queue, self.announcer, self.window)
        self.reader = TaskReader(self.database)
        self.watchers = Watchers(self.bus, self.reader)
        self.lists = TaskLists(self.database)
        self.service = TaskService(self.reader, self.lists, self.requests, self.watchers)
        self.sessions = Sessions(self.database, self.bus)
        self.roster = Roster(self.database)
        self.artifacts = ArtifactStore(self.database, DirectoryStore(self.directory))

    async def start(self) -> None:
        """Run the bus and the watchers, as a server does."""
        for part in (self.watchers.run, self.bus.run):
            self._background.append(asyncio.create_task(part()))
        await self.bus.connected.wait()

    async def close(self) -> None:
        for part in self._background:
            part.cancel()
        for part in self._background:
            with suppress(asyncio.CancelledError):
                await part
        await self.bus.close()
        await self.redis.aclose()
        await self.database.close()

    def worker(self, name: str = "worker-1", lease_ms: int = 60_000) -> Claims:
        """What a worker of this name does to tasks. A negative lease belongs to a worker that is dead already."""
        return Claims(
            self.database,
            self.announcer,
            self.breakers,
            worker_id=name,
            lease_ms=lease_ms,
            window=self.window,
        )

    def failures(self, worker: Claims) -> Failures:
        """What this worker does with attempts that fail for a passing reason."""
        return Failures(self.database, self.announcer, worker, self.breakers)

    async def create(self, **changes: Any) -> Task:
        return await self.requests.create(new_task(**changes))

    async def task(self, task_id: str) -> Task:
        """The task as a reader sees it; it must be there."""
        found = await self.reader.find(task_id)
        assert found is not None, f"task {task_id} is gone"
        return found

    async def finished(self, **changes: Any) -> Task:
        """A task that has been run to its end."""
        worker = self.worker()
        task = await self.create(**changes)
        claimed = await worker.claim(task.id, task.attempt)
        assert claimed is not None
        return await finish(worker, claimed)

    async def sql(self, statement: str, **parameters: Any) -> list[Any]:
        """Raw SQL behind everybody's back; rows, if it returns any."""
        async with self.database.transaction() as connection:
            result = await connection.execute(text(statement), parameters)
            return list(result.all()) if result.returns_rows else []

    async def row(self, task_id: str) -> dict[str, Any]:
        """Every column of the task's row."""
        rows = await self.sql("SELECT * FROM task WHERE id = :id", id=task_id)
        return dict(rows[0]._mapping)

    async def rows(self, table: str, task_id: str) -> list[dict[str, Any]]:
        """What hangs on a task in another table, without its random or temporal order."""
        found = await self.sql(f"SELECT * FROM {table} WHERE task_id = :id", id=task_id)
        return [dict(row._mapping) for row in found]

    async def events(self, task_id: str) -> list[tuple[str, dict[str, Any]]]:
        rows = await self.sql("SELECT kind, body FROM task_event WHERE task_id = :id ORDER BY id", id=task_id)
        return [(row.kind, json.loads(row.body)) for row in rows]

    async def shift(self, task_id: str, column: str, by_ms: int) -> None:
        """Let time pass for one column of one task."""
        await self.sql(f"UPDATE task SET {column} = {column} + :by WHERE id = :id", by=by_ms, id=task_id)

    async def announced(self, queue: str = "default") -> list[str]:
        """The jobs in a queue, oldest first."""
        redis: Any = self.redis  # which leaves this command partly untyped
        jobs = await redis.zrange(queue_key(queue), 0, -1)
        return [job.decode() for job in jobs]


@asynccontextmanager
async def opened(
    database_url: str, redis_url: str, directory: Path, quotas: Quotas = USUAL_QUOTAS
) -> AsyncGenerator[Record]:
    record = Record(database_url, redis_url, directory, quotas)
    try:
        yield record
    finally:
        await record.close()


def writer_of(record: Record) -> Any:
    """The SQLAlchemy engine that this process writes through."""
    return record.database._writer  # pyright: ignore[reportPrivateUsage]


async def claim(worker: Claims, task: Task) -> Task:
    """Claim a task that must be there to be claimed."""
    claimed = await worker.claim(task.id, task.attempt)
    assert claimed is not None, f"{worker.worker_id} could not claim {task.id} at attempt {task.attempt}"
    return claimed


async def finish(worker: Claims, claimed: Task, outcome: str = RESULT) -> Task:
    await worker.finish(held(claimed), OutcomeKind.RESULT, outcome, None, None)
    async with worker._database.reading() as connection:  # pyright: ignore[reportPrivateUsage]
        return task_from_row((await connection.execute(whole_task(claimed.id))).one())


async def ask(
    worker: Claims, claimed: Task, ordinal: str = "name", request: dict[str, Any] = ASK_NAME
) -> Asked:
    (asked,) = await worker.ask(held(claimed), [Question(ordinal, request)])
    return asked


def rpc_error(message: str) -> str:
    return encode_text({"code": -32603, "message": message})


async def collect(events: AsyncIterator[Any], count: int) -> list[Any]:
    """The next so many events of a watch or a subscription."""
    return [await anext(events) for _ in range(count)]
