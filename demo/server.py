"""Runs `tasks-server dev` for the length of the demo."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

START_WITHIN_SECONDS = 30.0
STOP_WITHIN_SECONDS = 15.0


class ServerDidNotStart(Exception):
    """The message has what it printed."""


@asynccontextmanager
async def running_server(data_dir: Path, file_roots: Iterable[Path]) -> AsyncGenerator[str]:
    """Start server, worker, SQLite and Valkey on a free port; yield the MCP URL; leave nothing running.

    The tools may read files below file_roots. Raises ServerDidNotStart with its output.
    """
    log = data_dir / "server.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TASKS_")}
    environment["TASKS_FILE_ROOTS"] = json.dumps(sorted(str(root) for root in file_roots))
    environment["PYTHONUNBUFFERED"] = "1"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tasks_server", "dev", "--port", "0"),
            *("--data-dir", str(data_dir)),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C reaches the demo, which then ends the server in its own time
        )
    try:
        yield await _url(process, log)
    finally:
        await _stop(process)


async def _url(process: asyncio.subprocess.Process, log: Path) -> str:
    """Wait for the line with the URL."""
    with suppress(TimeoutError):
        async with asyncio.timeout(START_WITHIN_SECONDS):
            while process.returncode is None:
                if found := re.search(r"http://\S+/mcp\b", _printed(log)):
                    return found[0]
                await asyncio.sleep(0.02)
    raise ServerDidNotStart(f"The server did not start:\n{_printed(log)}")


def _printed(log: Path) -> str:
    return log.read_text(errors="replace")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(STOP_WITHIN_SECONDS):
            await process.wait()
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
