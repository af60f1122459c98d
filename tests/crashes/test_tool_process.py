"""What becomes of a tool's process when its worker dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ProcessStarter, all_gone
from workers.execution import keeper
from workers.execution.frames import encoded, receive_frame
from workers.execution.subreaper import CAN_SUBREAP

ROOT = Path(__file__).parents[2]

WORKER = """
import asyncio
from tasks_server.task import Method
from tests.unit.workers.recording_port import RecordingPort
from workers.execution import Work, perform
from workers.registry import Registry

class Port(RecordingPort):
    async def report_status(self, message):
        print("tool runs as", message, flush=True)

registry = Registry.load(["tests.unit.workers.process_tools"])
asyncio.run(perform(Work(Method.CALL_TOOL, "wait_stubbornly", {"deaf": True}, "t", 1), registry, Port()))
"""

TWO_GROUPS = """
import signal, subprocess
from workers.execution.keeper import Keeper

def group():
    return subprocess.Popen(["sleep", "60"], start_new_session=True).pid

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
keeper = Keeper()
first = group()
keeper.watch(first)
print("first", first, flush=True)
signal.sigwait({signal.SIGUSR1})
second = group()
keeper.watch(second)
print("second", second, flush=True)
signal.pause()
"""


async def test_a_tools_process_dies_with_a_killed_worker_and_so_does_what_it_started(
    start: ProcessStarter,
) -> None:
    worker = start.start(sys.executable, "-c", WORKER, cwd=ROOT)
    match = await worker.line(r"tool runs as (\d+) (\d+)")
    everything = [child.pid for child in worker.descendants()]
    assert {int(match[1]), int(match[2])} < set(everything)
    await worker.stop(signal.SIGKILL)
    await all_gone(everything)


@pytest.mark.skipif(not CAN_SUBREAP, reason="this platform cannot follow what leaves its session")
async def test_a_daemon_of_a_tool_dies_with_a_killed_worker(start: ProcessStarter) -> None:
    script = WORKER.replace("wait_stubbornly", "let_go").replace('{"deaf": True}', '{"how": "is cancelled"}')
    worker = start.start(sys.executable, "-c", script, cwd=ROOT)
    match = await worker.line(r"tool runs as (\d+) (\d+)")
    everything = [int(match[1]), int(match[2]), *(child.pid for child in worker.descendants())]
    await worker.stop(signal.SIGKILL)
    await all_gone(everything)


async def test_a_keeper_that_died_is_replaced_and_knows_what_runs(start: ProcessStarter) -> None:
    worker = start.start(sys.executable, "-c", TWO_GROUPS, cwd=ROOT)
    first = int((await worker.line(r"first (\d+)"))[1])
    (found,) = [child for child in worker.descendants() if keeper.__file__ in child.cmdline()]
    found.kill()
    await all_gone([found.pid])
    worker.send(signal.SIGUSR1)
    second = int((await worker.line(r"second (\d+)"))[1])
    everything = [child.pid for child in worker.descendants()]
    await worker.stop(signal.SIGKILL)
    await all_gone([first, second, *everything])


async def test_a_tools_process_ends_with_all_it_started_when_its_worker_falls_silent() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.execution.child", str(theirs.fileno()), str(os.getpid())],
            cwd=ROOT,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
        theirs.close()
        ours.sendall(encoded(ORDER))
        call = receive_frame(ours)
    assert call is not None
    pids = [int(pid) for pid in call["arguments"]["message"].split()]
    assert process.wait(20) == -signal.SIGKILL
    await all_gone(pids)


ORDER = {
    "work": {
        "method": "tools/call",
        "name": "wait_stubbornly",
        "arguments": {"deaf": True},
        "task_id": "t",
        "attempt": 1,
        "answers": {},
    },
    "module": "tests.unit.workers.process_tools",
    "function": "wait_stubbornly",
    "memory_bytes": None,
    "log_format": "text",
    "python_path": None,
}
