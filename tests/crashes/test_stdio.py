"""`tasks-server stdio` as hosts use it: started, listened to, left, killed, and several at a time."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.crashes.forked import ForkingStarter
from tests.crashes.house import ON_SQLITE
from tests.support.mcp_messages import INTERNAL_ERROR, META
from tests.support.pipe import Message, Pipe, start_stdio
from tests.support.processes import ProcessStarter, all_gone
from tests.support.servers import ValkeyServer
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
TOOLS = "tests.crashes.tools"
START_SECONDS = 60.0

NOISY = """
import os, subprocess, sys
from workers import tool

print("loaded", flush=True)

def noise(where):
    print(f"printed in {where}", flush=True)
    os.write(1, f"written in {where}\\n".encode())
    subprocess.run(["echo", f"echoed in {where}"], check=True)
    sys.stdin.read()
    return "quiet"

@tool()
def in_thread() -> str:
    '''Prints.'''
    return noise("thread")

@tool(runs_in="process")
def in_process() -> str:
    '''Prints too.'''
    return noise("process")
"""
HOST = """
import json, subprocess, sys, time
server = subprocess.Popen(json.loads(sys.argv[1]), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
server.stdin.write(sys.argv[2].encode() + b"\\n")
server.stdin.flush()
server.stdout.readline()
print(f"host of {server.pid}", flush=True)
time.sleep(1000)
"""


def request(number: int, method: str, **params: Any) -> Message:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": META}}


def plain(number: int, method: str, **params: Any) -> Message:
    """As the revisions with a handshake want it."""
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def calling(number: int, tool: str, **arguments: Any) -> Message:
    return request(number, "tools/call", name=tool, arguments=arguments)


def stdio(start: ProcessStarter, *arguments: str, **settings: str) -> Pipe:
    """On a data directory that all in a test share; forked where that is as good."""
    arguments = ("--data-dir", str(start.directory / "data"), "--tools", TOOLS, *arguments)
    environment = {f"TASKS_{name.upper()}": value for name, value in settings.items()}
    environment |= {"PYTHONPATH": f"{ROOT}:{start.directory}", "TASKS_LEASE_SECONDS": "2"}
    if isinstance(start, ForkingStarter):
        return start.stdio(*arguments, env=environment)
    return start_stdio(start, *arguments, env=environment)


async def tools_of(pipe: Pipe, number: int = 1) -> set[str]:
    """What is listed, once it is."""
    answer = await pipe.answer(request(number, "tools/list"))
    return {tool["name"] for tool in answer["result"]["tools"]}


async def submitted(pipe: Pipe, number: int, tool: str, **arguments: Any) -> str:
    return (await pipe.answer(calling(number, tool, **arguments)))["result"]["taskId"]


async def ended(pipe: Pipe, task_id: str) -> Message:
    """The task once it has come to an end."""
    looks = iter(range(10_000, 20_000))

    async def look() -> Message | None:
        task = (await pipe.answer(request(next(looks), "tasks/get", taskId=task_id)))["result"]
        return task if task["status"] in {"completed", "failed", "cancelled"} else None

    return await wait_until(look, 40, describing=f"the end of {task_id}", every=0.05) or {}


async def test_the_first_list_of_tools_is_complete_and_nothing_but_protocol_is_written(start: ProcessStarter):
    (start.directory / "noisy.py").write_text(NOISY)
    pipe = stdio(start, "--tools", "noisy")
    assert (await pipe.answer(request(1, "server/discover")))["result"]["resultType"] == "complete"
    assert {"wait_for_file", "convert_document", "in_thread", "in_process"} <= await tools_of(pipe, 2)
    for number, tool in ((3, "in_thread"), (4, "in_process")):
        task = await ended(pipe, await submitted(pipe, number, tool))
        assert task["result"]["content"][0]["text"] == "quiet", task
    for place in ("thread", "process"):
        for way in ("printed", "written", "echoed"):
            await pipe.started.line(f"{way} in {place}")
    assert all("result" in message for message in pipe.messages)
    pipe.close()
    assert await pipe.started.ended() == 0
    assert "Traceback" not in pipe.started.output


async def leave(pipe: Pipe, how: str) -> int:
    if how == "close":
        pipe.close()
    else:
        pipe.started.send(signal.Signals[how])
    return await pipe.started.ended()


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("close", 0),
        pytest.param("SIGTERM", 0, marks=pytest.mark.slow),
        pytest.param("SIGINT", 0, marks=pytest.mark.slow),
        ("SIGKILL", -9),
    ],
)
async def test_nothing_is_left_however_it_ends_and_what_was_submitted_goes_on(
    fork: ForkingStarter, how: str, code: int
):
    gate = fork.directory / "gate"
    pipe = stdio(fork)
    await tools_of(pipe)
    task_id = await submitted(pipe, 2, "wait_for_file", path=str(gate))
    children = [child.pid for child in pipe.started.descendants()]
    assert len(children) == 2, "Valkey and the worker"
    pipe.send(request(3, "subscriptions/listen", notifications={"toolsListChanged": True}))
    await pipe.message(lambda message: "method" in message, "the acknowledgement")
    assert await leave(pipe, how) == code
    await all_gone(children)
    assert "Traceback" not in pipe.started.output
    farewell = [message for message in pipe.messages if is_farewell(message, 3)]
    assert len(farewell) == (2 if how in {"SIGTERM", "SIGINT"} else 0), pipe.messages
    again = stdio(fork)
    await tools_of(again)
    found = await again.answer(request(2, "tasks/get", taskId=task_id))
    assert found["result"]["status"] == "working"
    gate.touch()
    assert (await ended(again, task_id))["status"] == "completed"


def is_farewell(message: Message, request_id: int) -> bool:
    """The result of a subscription, or the notification that it is over."""
    return message.get("id") == request_id or (
        message.get("method") == "notifications/cancelled" and message["params"]["requestId"] == request_id
    )


@pytest.mark.slow
@pytest.mark.parametrize("when", ["at once", "later"])
async def test_nothing_is_left_when_the_host_is_killed(start: ProcessStarter, when: str):
    command = [sys.executable, "-m", "tasks_server", "stdio", "--data-dir", str(start.directory / "data")]
    first = request(1, "server/discover" if when == "at once" else "tools/list")
    host = start.start(
        sys.executable, "-c", HOST, json.dumps(command), json.dumps(first), env={"PYTHONPATH": str(ROOT)}
    )
    await host.line(r"host of (\d+)", START_SECONDS)
    processes = [child.pid for child in host.descendants()]
    assert len(processes) >= (1 if when == "at once" else 3)
    assert await host.stop(signal.SIGKILL) == -9
    await all_gone([child.pid for child in host.descendants()] + processes)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before anything", "while it starts"])
async def test_a_host_may_change_its_mind(start: ProcessStarter, moment: str):
    pipe = stdio(start)
    if moment == "while it starts":
        await pipe.answer(request(1, "server/discover"))
        await pipe.started.line("Data is kept in")
    pipe.close()
    assert await pipe.started.ended(START_SECONDS) == 0
    await all_gone([child.pid for child in pipe.started.descendants()])
    assert "Traceback" not in pipe.started.output


@pytest.mark.parametrize("how", ["close", "SIGKILL"])
async def test_several_hosts_share_one_data_directory(fork: ForkingStarter, how: str):
    gate = fork.directory / "gate"
    first, second = stdio(fork), stdio(fork)
    task_id = await submitted(first, 1, "wait_for_file", path=str(gate))
    assert "wait_for_file" in await tools_of(second)
    found = await second.answer(request(2, "tasks/get", taskId=task_id))
    assert found["result"]["status"] == "working"
    await leave(first, how)
    gate.touch()
    assert (await ended(second, task_id))["status"] == "completed"
    again = await submitted(second, 3, "wait_for_file", path=str(gate))
    assert (await ended(second, again))["status"] == "completed"


async def test_a_host_that_contradicts_another_is_told_in_a_line(fork: ForkingStarter):
    pipe = stdio(fork)
    await tools_of(pipe)
    await refuses(stdio(fork, file_roots='["/usr"]'), r'TASKS_FILE_ROOTS is \["/usr"\], but who already runs')


async def test_an_unknown_module_is_told_in_a_line(fork: ForkingStarter):
    pipe = stdio(fork, "--tools", "no_such_tools")
    await refuses(pipe, "--tools no_such_tools: there is no such module.")
    await all_gone([child.pid for child in pipe.started.descendants()])


async def test_production_settings_take_the_place_of_the_embedded_parts(
    fork: ForkingStarter, database_url: str, valkey: ValkeyServer
):
    production = {"TASKS_DATABASE_URL": database_url, "TASKS_REDIS_URL": valkey.url}
    worker = fork.tasks_server("worker", "--tools", TOOLS, env={"PYTHONPATH": str(ROOT), **production})
    await worker.line("offers")
    pipe = fork.stdio(env={**production, "HOME": str(fork.directory)})
    assert await tools_of(pipe) >= {"wait_for_file", "block_until_file"}
    gate = fork.directory / "gate"
    gate.touch()
    assert (await ended(pipe, await submitted(pipe, 2, "wait_for_file", path=str(gate))))[
        "status"
    ] == "completed"
    assert pipe.started.descendants() == []
    pipe.close()
    assert await pipe.started.ended() == 0
    assert not (fork.directory / ".local").exists()
    for option, value in (("--tools", TOOLS), ("--data-dir", "data")):
        await refuses(
            fork.stdio(option, value, env=production), f"{option} has no effect: TASKS_DATABASE_URL"
        )


@ON_SQLITE
async def test_a_session_whose_record_is_broken_is_told_so(
    fork: ForkingStarter, database_url: str, valkey: ValkeyServer
):
    pipe = fork.stdio(env={"TASKS_DATABASE_URL": database_url, "TASKS_REDIS_URL": valkey.url})
    client = {"name": "test", "version": "0"}
    await pipe.answer(
        plain(1, "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=client)
    )
    assert "result" in await pipe.answer(plain(2, "tools/list"))
    with closing(sqlite3.connect(str(make_url(database_url).database))) as database:
        database.execute("ALTER TABLE session RENAME TO gone")
        assert (await pipe.answer(plain(3, "tools/list")))["error"]["code"] == INTERNAL_ERROR
        pipe.cancel(3)
        database.execute("ALTER TABLE gone RENAME TO session")
    assert "result" in await pipe.answer(plain(4, "tools/list"))
    pipe.close()
    assert await pipe.started.ended() == 0
    assert "never retrieved" not in pipe.started.output


async def refuses(pipe: Pipe, line: str) -> None:
    """It ends with exit code 2, says this on stderr and nothing on stdout."""
    code = await pipe.started.ended(START_SECONDS)
    assert code == 2, pipe.started.output
    assert re.search(f"^tasks-server: .*{line}", pipe.started.output, re.MULTILINE), pipe.started.output
    assert "Traceback" not in pipe.started.output
    assert pipe.messages == []


async def test_without_a_data_directory_the_users_own_is_used(fork: ForkingStarter):
    pipe = fork.stdio(env={"HOME": str(fork.directory), "XDG_DATA_HOME": ""})
    place = re.escape(str(fork.directory))
    await pipe.started.line(f"Data is kept in {place}/.*tasks-server; tools may read no files", START_SECONDS)
    pipe.close()
    assert await pipe.started.ended() == 0
