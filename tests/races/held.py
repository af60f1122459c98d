"""A tool that goes on until the test lets it end, or somebody stops it."""

from __future__ import annotations

import asyncio

from workers import tool


class HeldTool:
    """`work` is the tool; started and ended are set by it, may_end by the test."""

    def __init__(self) -> None:
        self.started, self.may_end, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        @tool(description="Waits until it may end.")
        async def work() -> str:
            self.started.set()
            try:
                await self.may_end.wait()
            finally:
                self.ended.set()
            return "done"

        self.work = work
