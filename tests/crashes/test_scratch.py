"""Temporary files of a worker go when it ends, and at the next start when it was killed."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.processes import ProcessStarter, Started
from workers import scratch

ROOT = Path(__file__).parents[2]

WORKER = """
import signal, subprocess, sys, tempfile
from pathlib import Path
from workers.scratch import own_scratch

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
with own_scratch():
    copy = Path(tempfile.mkdtemp(prefix="tool-")) / "source.csv"
    copy.write_text("a private copy")
    said = subprocess.run(["sh", "-c", "echo $TMPDIR"], capture_output=True, text=True).stdout.strip()
    print("working in", said, "with", copy, flush=True)
    signal.pause()
"""

RUN = """
import asyncio
from tasks_server.task import Method
from tests.unit.workers.recording_port import RecordingPort
from workers.execution import Work, perform
from workers.registry import Registry
from workers.scratch import own_scratch

class Port(RecordingPort):
    async def report_status(self, message):
        print("holds", message, flush=True)

registry = Registry.load(["tests.unit.workers.process_tools"])
with own_scratch():
    asyncio.run(perform(Work(Method.CALL_TOOL, "hold_a_copy", {}, "t", 1), registry, Port()))
"""


async def working(start: ProcessStarter, parent: Path) -> tuple[Started, Path]:
    """A worker that holds a private copy, and the path of the copy."""
    worker = start.start(sys.executable, "-c", WORKER, cwd=ROOT, env={"TMPDIR": str(parent)})
    match = await worker.line(r"working in (\S+) with (\S+)")
    copy = Path(match[2])
    assert copy.is_relative_to(match[1])
    return worker, copy


async def test_a_worker_that_ends_leaves_nothing(start: ProcessStarter, tmp_path: Path) -> None:
    worker, copy = await working(start, tmp_path)
    assert copy.exists()
    await worker.stop(signal.SIGTERM)
    assert list(tmp_path.glob(f"{scratch.PREFIX}*")) == []


async def test_what_a_killed_worker_left_goes_at_the_next_start(
    start: ProcessStarter, tmp_path: Path
) -> None:
    dead, left = await working(start, tmp_path)
    living, kept = await working(start, tmp_path)
    await dead.stop(signal.SIGKILL)
    assert left.exists()
    await working(start, tmp_path)
    assert not left.exists()
    assert kept.read_text() == "a private copy"
    assert len(list(tmp_path.glob(f"{scratch.PREFIX}*"))) == 2
    await living.stop(signal.SIGKILL)


async def test_a_process_tools_copy_goes_when_its_worker_was_killed(
    start: ProcessStarter, tmp_path: Path
) -> None:
    worker = start.start(sys.executable, "-c", RUN, cwd=ROOT, env={"TMPDIR": str(tmp_path)})
    held = Path((await worker.line(r"holds (\S+)"))[1])
    await worker.stop(signal.SIGKILL)
    assert held.exists()
    scratch.sweep(tmp_path)
    assert not held.exists()


def test_a_sweep_removes_nothing_that_is_not_a_workers_or_not_this_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "file").write_text("somebody's")
    (tmp_path / f"{scratch.PREFIX}link").symlink_to(other)
    (tmp_path / f"{scratch.PREFIX}file").write_text("no directory")
    abandoned = tmp_path / f"{scratch.PREFIX}abandoned"
    abandoned.mkdir()
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    scratch.sweep(tmp_path)
    assert abandoned.exists()
    monkeypatch.setattr(os, "getuid", lambda: user)
    scratch.sweep(tmp_path)
    assert not abandoned.exists()
    assert (other / "file").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "elsewhere",
        f"{scratch.PREFIX}file",
        f"{scratch.PREFIX}link",
    ]


async def test_dev_sweeps_what_its_killed_worker_left(start: ProcessStarter, tmp_path: Path) -> None:
    dev = start.tasks_server(
        *("dev", "--port", "0", "--tools", "tests.crashes.tools"),
        env={"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
    )

    def roots() -> set[Path]:
        return set(tmp_path.glob(f"{scratch.PREFIX}*"))

    await dev.line(r"http://\S+/mcp")
    await dev.line(r"worker \S+ offers")
    first = roots()
    (worker,) = [child for child in dev.descendants() if "workers" in child.cmdline()]
    worker.kill()
    await dev.line(r"(?s)worker \S+ offers.*worker \S+ offers")
    assert len(roots()) == len(first) == 1
    assert roots() != first
    await dev.stop(signal.SIGTERM)
    assert roots() == set()
