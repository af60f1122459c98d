"""The tools that are measured. The peer offers the same ones, see `peer/server.py`.

Each run tells the benchmark by a datagram when it began, so that a run is counted and timed without any server.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time

from workers import tool

PULSE_VARIABLE = "BENCH_PULSE"
_pulse = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
_where = os.environ.get(PULSE_VARIABLE)


def pulse() -> None:
    """Say that a run is there; the content is the monotonic clock in nanoseconds."""
    if _where:
        _pulse.sendto(struct.pack("!q", time.monotonic_ns()), _where)


@tool(task="optional")
async def nothing(number: int) -> int:
    """Return at once."""
    pulse()
    return number


@tool(task="optional")
async def pause(milliseconds: int) -> int:
    """Wait, as a call to something else does."""
    pulse()
    await asyncio.sleep(milliseconds / 1000)
    return milliseconds
