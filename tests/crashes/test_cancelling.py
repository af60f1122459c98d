"""A cancel stops the code that runs, whichever server it comes through, and leaves no process behind."""

from __future__ import annotations

import pytest

from tests.crashes.house import House
from tests.support.processes import all_gone

# Leases are renewed every 20 minutes here, so nothing but the nudge of a server can have stopped the code.
LEASE_SECONDS = "3600"

GUARD = """\
import os, subprocess, time
from pathlib import Path
from workers import SyncTaskContext, tool

@tool(name="guard", runs_in="process")
def guard(ctx: SyncTaskContext, diary: str, gate: str) -> str:
    '''Has a program running in a session of its own, and reports until it is stopped.'''
    program = subprocess.Popen(["sleep", "600"], start_new_session=True)
    Path(diary).write_text(f"{os.getpid()}\\n{program.pid}\\n")
    while not Path(gate).exists():
        ctx.progress(1, 2)
        time.sleep(0.01)
    return "not stopped"
"""


@pytest.mark.parametrize("kind", ["event loop", "process"])
async def test_a_cancel_through_another_server_stops_the_code(house: House, kind: str):
    if kind == "process":
        tool = house.tool("guard", "toil")
        tool.write_text(GUARD)
    else:
        tool = house.tool("guard", "sentry")
    _, client = await house.serve()
    _, other = await house.serve()
    worker = await house.work(tool, lease_seconds=LEASE_SECONDS)
    for each in (client, other):
        await each.offers("guard")
    job = await house.submit(client, "guard")
    await job.began()

    await other.cancel(job.task_id)

    assert (await client.ended(job.task_id))["status"] == "cancelled"
    if kind == "process":
        await all_gone([int(pid) for pid in job.diary], 0)
        assert [child.name() for child in worker.descendants() if child.status() == "zombie"] == []
    else:
        assert job.diary == ["start", "stopped"]
    row = await house.record.row(job.task_id)
    assert (row["attempt"], row["crashes"]) == (0, 0)
