"""`tasks-server migrate`, `serve` and `worker` as processes, on a PostgreSQL and a Redis of their own."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.crashes.client import Client
from tests.crashes.test_dev import ROOT, refuses
from tests.support.processes import ProcessStarter
from tests.support.waiting import wait_until


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=20) as client:
        yield client


def deployment(database_url: str, redis_url: str, directory: Path) -> dict[str, str]:
    return {
        "TASKS_DATABASE_URL": database_url,
        "TASKS_REDIS_URL": redis_url,
        "TASKS_SECRET_KEY": "a key that all replicas of this test share",
        "TASKS_ARTIFACT_DIR": str(directory / "artifacts"),
        "TASKS_SHUTDOWN_GRACE_SECONDS": "0",
        "PYTHONPATH": str(ROOT),
    }


async def test_the_parts_of_a_deployment_work_together_and_end_in_order(
    start: ProcessStarter, http: httpx2.AsyncClient, postgresql_url: str, redis_url: str, tmp_path: Path
):
    env = deployment(postgresql_url, redis_url, tmp_path)
    gate = tmp_path / "gate"
    server = start.tasks_server("serve", "--port", "0", env=env)
    url = (await server.line(r"Listening on (http://\S+)")).group(1)
    client = Client(http, url)
    assert not await client.has_workers()

    worker = start.tasks_server("worker", "--tools", "tests.crashes.tools", "--queue", "slow", env=env)
    await worker.line("wait_for_file.* on queue slow")

    await wait_until(client.has_workers, describing="the server knows its worker")
    task_id = await client.submit("wait_for_file", path=str(gate))
    assert await worker.stop(signal.SIGTERM) == 0, "work that it was in the middle of is handed back"
    assert await client.status(task_id) == "working"
    start.tasks_server("worker", "--tools", "tests.crashes.tools", "--queue", "slow", env=env)
    gate.touch()
    await client.completed(task_id)
    assert await server.stop(signal.SIGTERM) == 0


async def test_a_server_waits_for_nobody_who_has_not_migrated(
    start: ProcessStarter, redis_url: str, tmp_path: Path
):
    env = deployment(f"sqlite+aiosqlite:///{tmp_path}/tasks.db", redis_url, tmp_path)
    refusal = "The database is empty. Run `tasks-server migrate` first."
    server = start.tasks_server("serve", "--port", "0", env=env)
    worker = start.tasks_server("worker", "--tools", "tests.crashes.tools", env=env)
    await refuses(server, refusal)
    await refuses(worker, refusal)
    assert await start.tasks_server("migrate", env=env).ended(30) == 0
    server = start.tasks_server("serve", "--port", "0", env=env)
    await server.line("Listening on")
    assert await server.stop(signal.SIGINT) == 0
