"""How every driver runs its checks. Needs nothing but Python, because each client brings its own environment."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable

TIMEOUT_SECONDS = 30


async def passes(*checks: Callable[[], Awaitable[None]]) -> None:
    """Run the checks, one after the other, and say of each whether it passed. Ends the process if one has not."""
    failed = 0
    for check in checks:
        name = check.__name__.replace("_", " ")
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await check()
        except Exception:
            failed += 1
            print(f"FAIL {name}\n{traceback.format_exc()}")
        else:
            print(f"ok   {name}")
    if failed:
        sys.exit(1)
