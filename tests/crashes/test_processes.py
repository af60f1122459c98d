"""`tasks-server serve --processes`: several servers under one address, none of which is missed."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.crashes.client import Client
from tests.crashes.test_dev import ROOT
from tests.crashes.test_production_commands import deployment
from tests.support.processes import ProcessStarter, Started, all_gone
from tests.support.waiting import wait_until

NUMBER = 3


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=20) as client:
        yield client


async def started(
    start: ProcessStarter, postgresql_url: str, redis_url: str, directory: Path
) -> tuple[Started, str]:
    env = deployment(postgresql_url, redis_url, directory)
    server = start.tasks_server("serve", "--port", "0", "--processes", str(NUMBER), env=env, cwd=ROOT)
    return server, (await server.line(r"Listening on (http://\S+) with 3 processes"))[1]


def servers(parent: Started) -> list[psutil.Process]:
    """The processes that serve."""
    return [child for child in parent.descendants() if "--listener" in child.cmdline()]


async def answers_everybody(url: str) -> None:
    """Whichever process gets a connection."""
    for _ in range(10 * NUMBER):
        async with httpx2.AsyncClient(timeout=20) as client:
            assert (await client.get(f"{url}/healthz")).status_code == 200


async def test_a_server_that_dies_is_replaced_and_all_end_in_order(
    start: ProcessStarter, http: httpx2.AsyncClient, postgresql_url: str, redis_url: str, tmp_path: Path
):
    parent, url = await started(start, postgresql_url, redis_url, tmp_path)
    client = Client(http, url)
    await answers_everybody(url)
    servers(parent)[0].kill()
    await answers_everybody(url)
    await parent.line("A server was killed by SIGKILL; starting it again")
    await wait_until(lambda: len(servers(parent)) == NUMBER, describing="as many as before")
    assert not await client.has_workers()
    pids = [child.pid for child in servers(parent)]
    assert await parent.stop(signal.SIGTERM) == 0
    await all_gone(pids)


async def test_it_may_be_stopped_before_its_servers_are_there(
    start: ProcessStarter, postgresql_url: str, redis_url: str, tmp_path: Path
):
    parent, _ = await started(start, postgresql_url, redis_url, tmp_path)
    await wait_until(lambda: servers(parent), describing="a server that is just starting")
    assert await parent.stop(signal.SIGTERM) == 0


async def test_nothing_is_left_when_it_is_killed(
    start: ProcessStarter, postgresql_url: str, redis_url: str, tmp_path: Path
):
    parent, _ = await started(start, postgresql_url, redis_url, tmp_path)
    await wait_until(lambda: len(servers(parent)) == NUMBER, describing="all are there")
    pids = [child.pid for child in servers(parent)]
    await parent.stop(signal.SIGKILL)
    await all_gone(pids)


async def test_settings_that_cannot_work_are_refused_once(
    start: ProcessStarter, postgresql_url: str, redis_url: str, tmp_path: Path
):
    env = deployment(postgresql_url, redis_url, tmp_path) | {"TASKS_SECRET_KEY": "short"}
    server = start.tasks_server("serve", "--port", "0", "--processes", str(NUMBER), env=env, cwd=ROOT)
    assert await server.ended() == 2
    assert "TASKS_SECRET_KEY" in server.output
    assert "Traceback" not in server.output
