"""Tools that wait until a test lets them go."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from workers import SyncTaskContext, TaskContext, tool


@tool()
async def wait_for_file(ctx: TaskContext, path: str) -> str:
    """Wait until a file exists.

    Args:
        path: the file
    """
    while not Path(path).exists():  # noqa: ASYNC110 - the file is how another process gives leave
        await asyncio.sleep(0.01)
    return "found"


@tool()
def block_until_file(ctx: SyncTaskContext, path: str, started: str) -> str:
    """Wait until a file exists, deaf to every request to stop.

    Args:
        path: the file
        started: a file to make first
    """
    Path(started).touch()
    while not Path(path).exists():
        time.sleep(0.01)
    return "found"
