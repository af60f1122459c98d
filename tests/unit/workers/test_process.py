"""Tools in a process of their own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasks_server.errors import RpcError
from tasks_server.task import Method
from tests.support.descent import descendants
from tests.support.processes import all_gone
from tests.support.waiting import wait_until
from tests.unit.workers import process_tools as tools
from tests.unit.workers.recording_port import RecordingPort
from workers import ToolError, Transient
from workers.definition import ATTRIBUTE
from workers.execution import Work, perform, process
from workers.execution.calling import Surroundings
from workers.execution.limits import MEMORY_CAN_BE_LIMITED
from workers.execution.subreaper import CAN_SUBREAP
from workers.registry import Registry


def accepted(**content: Any) -> dict[str, Any]:
    return {"action": "accept", "content": content}


async def run(
    function: Callable[..., Any], port: RecordingPort | None = None, answers: Any = None, **arguments: Any
) -> Any:
    registry = Registry.load(["tests.unit.workers.process_tools"])
    work = Work(Method.CALL_TOOL, function.__name__, arguments, "task-1", 2, answers or {})
    return await perform(work, registry, port or RecordingPort())


async def text_of(function: Callable[..., Any], **arguments: Any) -> str:
    result = await run(function, **arguments)
    assert result["isError"] is True
    return result["content"][0]["text"]


async def started(function: Callable[..., Any], port: RecordingPort, **arguments: Any) -> asyncio.Task[Any]:
    """A run that has reported a status."""
    running = asyncio.create_task(run(function, port, **arguments))
    await wait_until(lambda: port.statuses or running.done(), 20, describing="the tool's beginning")
    assert port.statuses, running.result()
    return running


async def started_with_short_grace(
    function: Callable[..., Any], port: RecordingPort, **arguments: Any
) -> asyncio.Task[Any]:
    """A run that has reported a status, and has not the usual seconds to leave once it is cancelled."""
    work = Work(Method.CALL_TOOL, function.__name__, arguments, "task-1", 1)
    around = Surroundings(port, grace_seconds=0.1)
    running = asyncio.create_task(process.call_in_process(getattr(function, ATTRIBUTE), work, around))
    await wait_until(lambda: port.statuses, 20, describing="the tool's beginning")
    return running


async def cancelled(running: asyncio.Task[Any]) -> None:
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_every_verb_works_from_a_process() -> None:
    port = RecordingPort({"go": accepted(confirm=True)})
    result = await run(tools.convert, port, source="abc")
    assert result["isError"] is False, result
    assert result["structuredContent"]["pages"] == 3
    assert result["content"][1]["uri"] == "artifact://task/a.md"
    assert port.steps == {"count": 3}
    assert port.progress == [(1, 3, "begun")]
    assert port.statuses == ["converting"]
    assert port.lines == [("info", {"source": "abc"}, None)]
    assert (port.announced, port.times_published) == (["note://x"], 1)
    assert port.files == {"a.md": b"True"}


async def test_a_remembered_step_is_not_taken_again_in_the_next_process() -> None:
    port = RecordingPort({"go": accepted(confirm=True)})
    port.steps["count"] = 99
    assert (await run(tools.convert, port, source="abc"))["structuredContent"]["pages"] == 99


async def test_an_async_tool_asks_several_questions_at_once_from_its_process() -> None:
    port = RecordingPort()
    answers = {"sure": accepted(confirm=True)}
    running = asyncio.create_task(run(tools.convert_asynchronously, port, answers))
    await wait_until(lambda: len(port.questions) == 2, 20, describing="both questions")
    port.answer("second", confirm=False)
    port.answer("first", confirm=True)
    assert (await running)["content"][0]["text"] == "True True False"


async def test_a_question_that_a_process_gives_up_is_given_up_by_its_worker() -> None:
    port = RecordingPort()
    assert (await run(tools.ask_briefly, port))["content"][0]["text"] == "done"
    assert port.deadlines == {"go": (172_800_000, accepted(confirm=True))}
    assert port.given_up == ["go"]


async def test_a_process_is_the_tools_own_and_leaves_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    seen = (await run(tools.describe))["structuredContent"]
    if CAN_SUBREAP:
        assert seen["group"] == seen["parent"] != os.getpid()
    else:
        assert (seen["parent"], seen["group"]) == (os.getpid(), seen["pid"])
    assert seen["main_thread"] is True
    assert seen["attempt"] == 2
    assert seen["python_path"] == "unset"
    assert not Path(seen["scratch"]).exists()
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "printed by the tool" in captured.err
    assert re.search(r"^[\d:]{8} info    tool: logged by the tool$", captured.err, re.MULTILINE)


async def test_a_surprise_in_a_process_is_logged_with_its_tool_and_task_in_the_workers_format(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKS_LOG_FORMAT", "json")
    assert await text_of(tools.die, how="surprise") == "ValueError: surprise"
    (line,) = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert (line["level"], line["process"]) == ("error", "tool")
    assert line["message"] == "task task-1: the tool die failed"
    assert (line["task_id"], line["method"], line["called"]) == ("task-1", "tools/call", "die")
    assert "ValueError: surprise" in line["exception"]
    monkeypatch.setenv("TASKS_LOG_FORMAT", "text")
    await text_of(tools.die, how="tool error")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("edited", "said"),
    [
        ("def edited(:\n", r"SyntaxError: .*edited\.py, line 1\)"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        ("import json\n", "AttributeError: module 'edited' has no attribute 'edited'"),
    ],
)
async def test_a_module_that_was_broken_after_the_start_is_named(
    edited: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "edited", raising=False)
    module = tmp_path / "edited.py"
    module.write_text(
        'from workers import tool\n@tool(runs_in="process")\ndef edited() -> None:\n    """."""\n'
    )
    registry = Registry.load(["edited"])
    module.write_text(edited)
    work = Work(Method.CALL_TOOL, "edited", {}, "task-1", 1)
    result = await perform(work, registry, RecordingPort())
    assert result["isError"] is True
    assert re.fullmatch(
        rf"The worker cannot load the module edited any more: {said}\. "
        r"If it was edited while the worker ran, fix it and restart the worker\.",
        result["content"][0]["text"],
    )
    logged = capfd.readouterr().err
    assert "task task-1: importing edited for the tool edited failed" in logged
    assert "Traceback" in logged


async def test_the_death_of_a_process_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    await text_of(tools.die, how="exit")
    assert "task task-1: the tool die: The tool's process ended with exit code 7" in caplog.text


async def test_a_fault_of_the_worker_reaches_the_tool() -> None:
    port = RecordingPort({"go": accepted(confirm=True)})
    port.fault = RpcError(-32021, "Missing required client capability", {"requiredCapabilities": {}})
    with pytest.raises(RpcError) as raised:
        await run(tools.convert, port, source="abc")
    assert raised.value.as_object()["data"] == {"requiredCapabilities": {}}
    port.fault = ValueError("disk full")
    result = await run(tools.convert, port, source="abc")
    assert result["content"][0]["text"] == "RuntimeError: ValueError: disk full"


async def test_wrong_arguments_are_told_by_the_process_too() -> None:
    assert await text_of(tools.convert, sauce="x") == (
        "Invalid arguments. source: Field required; sauce: Extra inputs are not permitted"
    )


async def test_errors_keep_their_kind_across_the_pipe() -> None:
    assert await text_of(tools.die, how="tool error") == "read this"
    with pytest.raises(RpcError) as raised:
        await run(tools.die, how="rpc error")
    assert raised.value.as_object() == {"code": -32050, "message": "refused", "data": {"why": "rpc error"}}


async def test_a_passing_failure_keeps_its_kind_and_its_wish_across_the_pipe() -> None:
    with pytest.raises(Transient, match="The archive is busy") as raised:
        await run(tools.stumble, how="raised")
    assert raised.value.retry_after == 30
    with pytest.raises(Transient, match="ConnectionResetError: reset by peer") as raised:
        await run(tools.stumble, how="listed")
    assert raised.value.retry_after is None


@pytest.mark.parametrize(
    ("how", "said"),
    [("exit", "ended with exit code 7"), ("segfault", "killed by SIGSEGV"), ("kill", "killed by SIGKILL")],
)
async def test_a_process_that_dies_is_an_error_result(how: str, said: str) -> None:
    assert await text_of(tools.die, how=how) == f"The tool's process {was(said)} before it returned a result."


def was(said: str) -> str:
    return f"was {said}" if said.startswith("killed") else said


@pytest.mark.skipif(not MEMORY_CAN_BE_LIMITED, reason="this platform cannot limit memory")
@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (tools.hoard, {"at_once": True}),
        (tools.hoard, {"at_once": False}),
        (tools.hoard_asynchronously, {}),
    ],
)
async def test_a_memory_limit_is_named_when_it_is_hit(
    function: Callable[..., Any], arguments: dict[str, Any]
) -> None:
    assert await text_of(function, **arguments) == "The tool exceeded its memory limit of 256 MiB."


async def test_a_death_that_may_come_of_the_memory_limit_says_so() -> None:
    assert await text_of(tools.abort) == (
        "The tool's process was killed by SIGABRT before it returned a result. "
        "It may have exceeded its memory limit of 256 MiB."
    )


async def test_a_program_that_a_tool_leaves_running_is_ended() -> None:
    port = RecordingPort()
    result = await run(tools.leave_behind, port)
    assert result["content"][0]["text"] == "done"
    await all_gone([int(port.statuses[0])])


@pytest.mark.skipif(not CAN_SUBREAP, reason="this platform cannot follow what leaves its session")
@pytest.mark.parametrize("how", ["returns", "dies", "is cancelled"])
async def test_what_has_left_the_session_of_its_tool_is_ended_too(how: str) -> None:
    port = RecordingPort()
    running = await started_with_short_grace(tools.let_go, port, how=how)
    daemon, session = (int(pid) for pid in port.statuses[0].split())
    if how == "is cancelled":
        assert psutil.Process(daemon).ppid() != os.getpid()
        await cancelled(running)
    else:
        await asyncio.wait([running])
        assert isinstance(running.exception(), ToolError) == (how == "dies")
    await all_gone([daemon, session], 0)
    assert [child for child in descendants(os.getpid()) if child.status() == psutil.STATUS_ZOMBIE] == []


async def test_a_cancelled_process_is_told_and_may_clean_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEFT_BY", str(tmp_path / "left"))
    port = RecordingPort()
    running = await started(tools.wait_obediently, port)
    await cancelled(running)
    assert (tmp_path / "left").read_text() == "cancelled=True"
    assert port.progress == []
    await all_gone([int(port.statuses[0])], 0)


async def test_a_process_that_waits_for_an_answer_is_stopped() -> None:
    port = RecordingPort()
    running = await started(tools.wait_for_answer, port)
    await wait_until(lambda: port.questions, describing="the question")
    await cancelled(running)
    await all_gone([int(port.statuses[0])], 0)


async def test_a_process_cancelled_before_it_is_up_ends() -> None:
    running = asyncio.create_task(run(tools.wait_for_answer))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await cancelled(running)


@pytest.mark.parametrize("deaf", [False, True])
async def test_a_process_that_does_not_leave_is_killed_with_all_it_started(
    deaf: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process, "EXIT_SECONDS", 0.2)
    port = RecordingPort()
    running = await started_with_short_grace(tools.wait_stubbornly, port, deaf=deaf)
    await cancelled(running)
    await all_gone([int(pid) for pid in port.statuses[0].split()])
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait(others) if others else None
    assert "wait_stubbornly was cancelled and has not left after 0.1 s" in caplog.text
    assert "before it returned a result" not in caplog.text, "killed on purpose, which is no error"
