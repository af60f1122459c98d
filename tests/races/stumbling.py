"""Tools that fail for a passing reason, as often as their directory has files. Imported by new processes."""

from __future__ import annotations

from pathlib import Path

from workers import SyncTaskContext, Transient, tool


def falls(stones: Path) -> bool:
    """Whether there is still a stone to stumble over; it is taken away."""
    for stone in stones.iterdir():
        stone.unlink()
        return True
    return False


@tool(retry_delay="0.02s")
async def walk(stones: str) -> str:
    """Stumbles over each stone once."""
    if falls(Path(stones)):
        raise Transient("There was a stone.")
    return "arrived"


@tool(retry_delay="0.02s", retry_on=(OSError,))
def walk_in_a_thread(stones: str) -> str:
    """Stumbles over each stone once."""
    if falls(Path(stones)):
        raise ConnectionError("There was a stone.")
    return "arrived"


@tool(retry_delay="0.02s", runs_in="process")
def walk_in_a_process(ctx: SyncTaskContext, stones: str) -> str:
    """Stumbles over each stone once, and takes a step only once."""
    ctx.step(f"step-{ctx.attempt}", str, ctx.attempt)
    if falls(Path(stones)):
        raise Transient("There was a stone.")
    return "arrived"
