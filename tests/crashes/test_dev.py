"""`tasks-server dev` as a stranger uses it: started, interrupted, killed, started again, and told wrong things."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.crashes.client import Client
from tests.support.processes import ProcessStarter, Started, all_gone
from tests.support.waiting import wait_until

TOOLS = "tests.crashes.tools"
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=20) as client:
        yield client


def dev(start: ProcessStarter, *arguments: str) -> Started:
    return start.tasks_server(
        *("dev", "--port", "0", "--tools", TOOLS, *arguments),
        env={"PYTHONPATH": str(ROOT), "TASKS_LEASE_SECONDS": "2"},
    )


async def client_of(started: Started, http: httpx2.AsyncClient) -> Client:
    """A client, once the banner is there."""
    url = (await started.line(r"(http://\S+)/mcp")).group(1)
    return Client(http, url)


async def test_nothing_is_left_running_and_what_was_submitted_goes_on_next_time(
    start: ProcessStarter, http: httpx2.AsyncClient
):
    gate = start.directory / "gate"
    started = dev(start)
    client = await client_of(started, http)
    task_id = await client.submit("wait_for_file", path=str(gate))
    for number, code in ((signal.SIGINT, 0), (signal.SIGKILL, -9)):
        async with client.listening():
            children = [child.pid for child in started.descendants()]
            assert len(children) == 2, "Valkey and the worker"
            assert await started.stop(number) == code
        await all_gone(children)
        assert "Traceback" not in started.output
        started = dev(start)
        client = await client_of(started, http)

    assert await client.status(task_id) == "working"
    gate.touch()
    await client.completed(task_id)


async def test_ctrl_c_twice_ends_at_once(start: ProcessStarter, http: httpx2.AsyncClient):
    begun = start.directory / "begun"
    started = dev(start)
    client = await client_of(started, http)
    await client.submit("block_until_file", path="/nowhere/at/all", started=str(begun))
    await wait_until(begun.exists, describing="the start of the deaf tool")
    children = [child.pid for child in started.descendants()]
    started.send(signal.SIGINT)
    started.send(signal.SIGINT)  # at once: the same wish, passed on by somebody in between
    await wait_until(lambda: refused(client.url), describing="the server to stop accepting")
    assert started.exit_code is None
    await wait_until(lambda: interrupted(started), 5, describing="the end", every=0.2)
    assert started.exit_code == 130
    await all_gone(children, 3)


def interrupted(started: Started) -> bool:
    """Press Ctrl-C once more; whether it has ended."""
    started.send(signal.SIGINT)
    return started.exit_code is not None


def refused(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


@pytest.mark.slow
async def test_killed_children_are_started_again(start: ProcessStarter, http: httpx2.AsyncClient):
    gate = start.directory / "gate"
    started = dev(start)
    client = await client_of(started, http)
    killed = started.descendants()
    for child in killed:
        child.kill()
    task_id = await client.submit("wait_for_file", path=str(gate))
    gate.touch()
    await client.completed(task_id)
    children = [child.pid for child in started.descendants()]
    assert len(children) == 2
    assert not {child.pid for child in killed} & set(children)
    assert await started.stop(signal.SIGTERM) == 0
    await all_gone(children)


@pytest.mark.slow
async def test_two_on_one_data_directory_share_it(start: ProcessStarter, http: httpx2.AsyncClient):
    gate = start.directory / "gate"
    first, second = dev(start), dev(start)
    client = await client_of(first, http)
    task_id = await client.submit("wait_for_file", path=str(gate))
    survivor = await client_of(second, http)
    assert await survivor.status(task_id) == "working"
    assert await first.stop(signal.SIGKILL) == -9
    gate.touch()
    await survivor.completed(await survivor.submit("wait_for_file", path=str(gate)))
    children = [child.pid for child in second.descendants()]
    assert await second.stop(signal.SIGHUP) == 0
    await all_gone(children)


async def test_a_port_in_use_is_told_in_a_line(start: ProcessStarter):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        started = start.tasks_server("dev", "--port", str(port))
        await refuses(
            started, f"Cannot listen on 127.0.0.1: port {port} is in use. Choose another with --port"
        )


async def test_an_unknown_module_is_told_in_a_line(start: ProcessStarter):
    started = start.tasks_server("dev", "--port", "0", "--tools", "no_such_tools")
    children = await refuses(started, "--tools no_such_tools: there is no such module.")
    await all_gone(children)


async def refuses(started: Started, line: str) -> list[int]:
    """It ends with exit code 2 and one line that begins like this; returns the processes it had started."""
    code = await started.ended(30)
    children = [child.pid for child in started.descendants()]
    assert code == 2, started.output
    lines = started.output.splitlines()
    assert len(lines) == 1, started.output
    assert re.match(f"tasks-server: .*{line}", lines[0]), lines[0]
    return children
