"""The peer: FastMCP with its tasks extension on docket, offering the tools of `benchmarks.tools`.

`server.py HOST PORT` serves; docket's embedded worker runs in the same process, as it always does.
`fastmcp tasks worker server.py` adds a worker. Runs in an environment of its own.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
import time

import uvicorn
from fastmcp import FastMCP
from fastmcp_tasks import TasksExtension

_pulse_socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
_where = os.environ.get("BENCH_PULSE")

mcp = FastMCP("peer")
mcp.add_extension(TasksExtension())


def pulse() -> None:
    if _where:
        _pulse_socket.sendto(struct.pack("!q", time.monotonic_ns()), _where)


@mcp.tool(task=True)
async def nothing(number: int) -> int:
    """Return at once."""
    pulse()
    return number


@mcp.tool(task=True)
async def pause(milliseconds: int) -> int:
    """Wait, as a call to something else does."""
    pulse()
    await asyncio.sleep(milliseconds / 1000)
    return milliseconds


if __name__ == "__main__":
    app = mcp.http_app(path="/mcp", json_response=True, stateless_http=True)
    # uvloop and httptools, which our own server uses too, are installed: "auto" takes them.
    uvicorn.run(app, host=sys.argv[1], port=int(sys.argv[2]), log_level="warning", access_log=False)
