"""What counts as a failure that may pass, and how long the pause before the next attempt is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tasks_server.errors import RpcError
from tasks_server.task import Method
from tests.unit.workers.recording_port import RecordingPort
from workers import Declined, Permanent, ToolError, Transient, prompt, tool
from workers.execution import Work, perform
from workers.registry import Registry
from workers.retries import pause_ms, wish_ms


class Busy(ConnectionError):
    """As clients of some services raise it."""

    retry_after = "2m"


async def run(error: BaseException, *, plain: bool = False, **policy: Any) -> dict[str, Any]:
    """A tool that raises this."""

    async def fail() -> None:
        raise error

    def fail_in_a_thread() -> None:
        raise error

    function = fail_in_a_thread if plain else fail
    registry = Registry()
    registry.add(tool("fail", description="Fails.", **policy)(function))
    return await perform(Work(Method.CALL_TOOL, "fail", {}, "task-1", 0), registry, RecordingPort())


@pytest.mark.parametrize("plain", [False, True])
async def test_what_the_tool_calls_transient_is_raised_for_the_worker(plain: bool):
    with pytest.raises(Transient, match="The archive is busy") as raised:
        await run(Transient("The archive is busy.", retry_after=7), plain=plain)
    assert raised.value.retry_after == 7


@pytest.mark.parametrize("plain", [False, True])
async def test_what_the_policy_calls_transient_keeps_its_own_wish(plain: bool):
    with pytest.raises(Transient, match="Busy: at lunch") as raised:
        await run(Busy("at lunch"), plain=plain, retry_on=(TimeoutError, ConnectionError))
    assert raised.value.retry_after == 120


async def test_a_single_failure_inside_a_group_counts_as_what_it_is():
    with pytest.raises(Transient, match="busy"):
        await run(ExceptionGroup("together", [Transient("busy")]))


async def test_a_group_of_failures_that_may_all_pass_is_tried_again():
    archive = [Transient("The archive is busy.", retry_after=7), Transient("The archive is busy.")]
    inner = ExceptionGroup("inner", [TimeoutError("at last"), *archive])
    with pytest.raises(Transient) as raised:
        await run(ExceptionGroup("outer", [inner, Transient("So is the printer.")]), retry_on=(TimeoutError,))
    assert str(raised.value) == "TimeoutError: at last The archive is busy. So is the printer."
    assert raised.value.retry_after == 7


@pytest.mark.parametrize("other", [ToolError("no"), Permanent("no"), ValueError("no")])
async def test_a_group_with_one_that_will_not_pass_is_a_result(other: Exception):
    result = await run(ExceptionGroup("together", [Transient("busy"), other]))
    assert result["isError"] is True


@pytest.mark.parametrize(
    "error",
    [
        Permanent("There is no such page."),
        ToolError("There is no such page."),
        Declined("decline", "There is no such page."),
        ConnectionError("There is no such page."),
    ],
)
async def test_everything_else_is_a_result(error: Exception):
    result = await run(error, retry_on=(TimeoutError,))
    assert result["isError"] is True
    assert "There is no such page." in result["content"][0]["text"]


@pytest.mark.parametrize("error", [Permanent("no"), ToolError("no"), Declined("cancel", "no")])
async def test_an_answer_is_an_answer_whatever_the_policy_says(error: Exception):
    assert (await run(error, retry_on=(Exception,)))["isError"] is True


async def test_a_protocol_error_is_never_tried_again():
    with pytest.raises(RpcError, match="closed"):
        await run(RpcError(-31000, "closed"), retry_on=(Exception,))


async def test_a_result_that_says_error_is_a_result():
    @tool(retry_on=(Exception,))
    async def report() -> dict[str, Any]:
        """Returns."""
        return {"isError": True}

    registry = Registry()
    registry.add(report)
    work = Work(Method.CALL_TOOL, "report", {}, "task-1", 0)
    assert (await perform(work, registry, RecordingPort()))["structuredContent"] == {"isError": True}


async def test_prompts_are_not_tried_again():
    @prompt()
    async def greet() -> str:
        """Greets."""
        raise Transient("The poet is away.")

    registry = Registry()
    registry.add(greet)
    with pytest.raises(RpcError, match="The poet is away"):
        await perform(Work(Method.GET_PROMPT, "greet", {}, "task-1", 0), registry, RecordingPort())


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [
        (7, 7_000),
        (0.25, 250),
        ("30", 30_000),
        ("30s", 30_000),
        (timedelta(minutes=2), 120_000),
        ("999999999", 24 * 60 * 60 * 1000),
        (None, None),
        (0, None),
        (-3, None),
        (float("nan"), None),
        ("nan", None),
        (float("inf"), None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        (True, None),
        (object(), None),
    ],
)
def test_wishes_are_read_as_far_as_they_can_be(retry_after: Any, expected: int | None):
    assert wish_ms(retry_after) == expected


def test_pauses_double_up_to_five_minutes_and_vary():
    for used, full in enumerate((3, 6, 12, 24, 48, 96, 192, 300, 300)):
        pauses = {pause_ms(3_000, used, None) for _ in range(200)}
        assert full * 500 <= min(pauses) < max(pauses) <= full * 1000


def test_a_wish_is_the_least_pause():
    assert pause_ms(3_000, 0, 60_000) == 60_000
    assert pause_ms(3_000, 5, 1) >= 48_000
    assert pause_ms(3_600_000, 2, None) >= 1_800_000
