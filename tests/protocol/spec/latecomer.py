"""What a worker offers that is started later than everything else."""

from __future__ import annotations

from workers import tool


@tool(task="forbidden")
async def late() -> str:
    """Was not there from the start."""
    return "better late than never"


@tool()
async def late_task() -> str:
    """Was not there from the start, and may be a task."""
    return "better late than never"
