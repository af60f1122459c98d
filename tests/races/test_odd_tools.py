"""Whatever a tool says or returns: its task ends, and says how."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest

from tasks_server.task import Task, TaskStatus
from tests.races.working import settled, working
from tests.store.record import ATTACHED, OWNER, Record
from workers import TaskContext, tool

ODD_TEXTS = ["a\0b", "lone \ud800 surrogate", "long " * 10_000, ""]
ODD_VALUES: list[Any] = [
    2**70,
    "lone \ud800 surrogate",
    float("inf"),
    float("nan"),
    "a\0b",
    {1: 2},
    b"\xff",
    object,
]


async def ends(record: Record, odd: Callable[..., Any], count: int) -> list[Task]:
    """How the tasks of this tool end, one for each `which` below `count`."""
    async with working(record, odd):
        tasks = [
            await record.create(name="odd", arguments=f'{{"which":{which}}}', origin=ATTACHED)
            for which in range(count)
        ]
        return [await settled(record, task.id) for task in tasks]


async def lines_of(record: Record, task: Task) -> list[Any]:
    return [body["data"] for kind, body in await record.events(task.id) if kind == "log"]


async def test_odd_texts_do_not_keep_a_task_from_ending(record: Record):
    @tool("odd", description="Says odd things.")
    async def odd(ctx: TaskContext, which: int) -> str:
        text = ODD_TEXTS[which]
        await ctx.status(text)
        await ctx.progress(1, 2, text)
        await ctx.log("info", text)
        await ctx.log("info", {"nested": [text]}, text)
        return "done"

    for ended in await ends(record, odd, len(ODD_TEXTS)):
        assert ended.status is TaskStatus.COMPLETED
        assert ended.status_message is not None
        assert "\0" not in ended.status_message
        assert len(ended.status_message) <= 2_000
        assert len(await lines_of(record, ended)) == 2


async def test_odd_log_data_does_not_keep_a_task_from_ending(record: Record):
    @tool("odd", description="Logs odd things.")
    async def odd(ctx: TaskContext, which: int) -> str:
        await ctx.log("info", "before")
        try:
            await ctx.log("info", ODD_VALUES[which])
        except (TypeError, ValueError):
            """It is told, or the line is written somehow."""
        await ctx.log("info", "after")
        return "done"

    for ended in await ends(record, odd, len(ODD_VALUES)):
        assert ended.status is TaskStatus.COMPLETED
        lines = await lines_of(record, ended)
        assert (lines[0], lines[-1]) == ("before", "after")


async def test_odd_results_end_the_task_all_the_same(record: Record):
    @tool("odd", description="Returns odd things.", output_schema={"type": "object"})
    async def odd(which: int) -> dict[str, Any]:
        return {"value": ODD_VALUES[which]}

    for ended in await ends(record, odd, len(ODD_VALUES)):
        assert ended.outcome is not None
        assert (ended.attempt, ended.retries_used) == (0, 0)


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError, KeyboardInterrupt, ExceptionGroup])
async def test_odd_errors_end_the_task_all_the_same(record: Record, error: type[BaseException]):
    @tool("odd", description="Raises odd things.")
    async def odd(which: int) -> None:
        inside = ([ValueError(ODD_TEXTS[which])],) if error is ExceptionGroup else ()
        raise error(ODD_TEXTS[which], *inside)

    for ended in await ends(record, odd, len(ODD_TEXTS)):
        assert ended.outcome is not None
        assert (ended.attempt, ended.retries_used) == (0, 0)


async def test_a_value_that_cannot_be_remembered_is_the_tools_own_error(record: Record):
    @tool("odd", description="Remembers odd things.")
    async def odd(ctx: TaskContext, which: int) -> str:
        try:
            await ctx.step("odd", lambda: ODD_VALUES[which])
        except (TypeError, ValueError):
            """It can go on without."""
        return await ctx.step("even", lambda: "fine")

    for ended in await ends(record, odd, len(ODD_VALUES)):
        assert ended.outcome is not None
        assert "fine" in ended.outcome


async def test_many_reports_are_few_writes(record: Record):
    @tool("odd", description="Never stops talking.")
    async def odd(ctx: TaskContext, which: int) -> str:
        for page in range(1, 1001):
            await ctx.progress(page, 1000, f"page {page}")
        return "done"

    (ended,) = await ends(record, odd, 1)
    assert (ended.progress, ended.progress_total, ended.status_message) == (1000.0, 1000.0, "page 1000")
    kinds = [kind for kind, _ in await record.events(ended.id)]
    assert kinds.count("progress") < 20
    assert ended.revision == kinds.count("progress") + 3
    assert await record.service.get(OWNER, ended.id) == ended


async def test_progress_that_is_no_number_is_the_tools_own_error(record: Record):
    odd_numbers = [math.nan, math.inf, -math.inf, 10**400]

    @tool("odd", description="Divides by nothing.")
    async def odd(ctx: TaskContext, which: int) -> str:
        for reached, total in ((odd_numbers[which], None), (1, odd_numbers[which])):
            with pytest.raises(ValueError, match="must be a finite number, not"):
                await ctx.progress(reached, total)
        await ctx.progress(1e300, 1e301)
        return "fine"

    for ended in await ends(record, odd, len(odd_numbers)):
        assert "fine" in (ended.outcome or "")
        assert (ended.progress, ended.progress_total) == (1e300, 1e301)


async def test_progress_never_goes_back(record: Record):
    @tool("odd", description="Counts down.")
    async def odd(ctx: TaskContext, which: int) -> str:
        for page in (3, 2, 1):
            await ctx.progress(page, 3)
        return "done"

    (ended,) = await ends(record, odd, 1)
    assert ended.progress == 3.0
