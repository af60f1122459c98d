"""A child process ends with its parent, however the parent ends."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tasks_server.child import Child
from tests.support.processes import ProcessStarter, all_gone, is_alive

PARENT = """
import asyncio
from tasks_server.child import Child

async def main():
    child = await Child.spawn(["sleep", "300"])
    print("child", child.pid, flush=True)
    await child.wait()

asyncio.run(main())
"""

# What happens where the kernel cannot tie two processes together, as on macOS.
WATCHING_PARENT = """
import os, subprocess, sys
watch = "import sys; from tasks_server import tether; tether.watch(int(sys.argv[1]), sys.argv[2:])"
shell = "trap 'exit 7' TERM; echo child $$; while :; do sleep 0.05; done"
tether = subprocess.Popen([sys.executable, "-c", watch, str(os.getpid()), "sh", "-c", shell])
print("tether", tether.pid, flush=True)
print("ended with", tether.wait(), flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_child_is_killed_with_its_parent(start: ProcessStarter, number: signal.Signals):
    parent = start.start(sys.executable, "-c", PARENT, cwd=Path.cwd())
    child = int((await parent.line(r"child (\d+)")).group(1))
    assert is_alive(child)
    await parent.stop(number)
    await all_gone([child])


async def test_a_watched_child_is_killed_when_its_parent_is_gone(start: ProcessStarter):
    parent = start.start(sys.executable, "-c", WATCHING_PARENT, cwd=Path.cwd())
    tether = int((await parent.line(r"tether (\d+)")).group(1))
    child = int((await parent.line(r"child (\d+)")).group(1))
    assert is_alive(child)
    await parent.stop(signal.SIGKILL)
    await all_gone([child, tether])


async def test_a_watched_child_gets_the_signals_and_returns_its_exit_code(start: ProcessStarter):
    parent = start.start(sys.executable, "-c", WATCHING_PARENT, cwd=Path.cwd())
    tether = int((await parent.line(r"tether (\d+)")).group(1))
    child = int((await parent.line(r"child (\d+)")).group(1))
    psutil.Process(tether).terminate()
    await parent.line("ended with 7")
    await all_gone([child])


async def test_children_are_started_from_the_main_thread_only():
    with pytest.raises(RuntimeError, match="main one"):
        await asyncio.to_thread(asyncio.run, Child.spawn(["true"]))
