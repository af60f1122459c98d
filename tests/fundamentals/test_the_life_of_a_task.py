"""Read this first: what the server does, one idea a test. The tools are in tools.py, the client in conftest.py."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Any

from tests.fundamentals.conftest import Client, Server
from tests.support.waiting import wait_until


async def test_a_call_becomes_a_task_whose_result_waits_until_it_is_fetched(client: Client):
    task_id = await client.call("add", a=2, b=3)  # answered at once; a worker does the rest

    task = await client.until("completed", task_id)

    assert task["result"]["content"] == [{"type": "text", "text": "5"}]
    assert await client.get(task_id) == task, "it can be fetched as often as one likes"


async def test_whoever_listens_is_told_of_every_change(client: Client, tmp_path: Path):
    gate = tmp_path / "gate"
    task_id = await client.call("walk", gate=str(gate))
    told: list[float] = []

    async with aclosing(client.listen(task_id)) as snapshots:
        async for task in snapshots:  # each is what tasks/get would say at that moment
            if progress := progress_of(task):
                told.append(progress)
                gate.touch()
            if task["status"] == "completed":
                break

    assert told[0] == 1
    assert told[-1] == 2


def progress_of(task: dict[str, Any]) -> float:
    """The protocol has no field for it, so this server puts it where additions belong."""
    return task.get("_meta", {}).get("tasks-server/progress", {}).get("progress", 0)


async def test_a_tool_asks_in_the_middle_of_its_work_and_goes_on_with_the_answer(client: Client):
    task_id = await client.call("greet")

    task = await client.until("input_required", task_id)
    ((key, question),) = task["inputRequests"].items()
    assert question["params"]["message"] == "Who are you?"
    answer = {"action": "accept", "content": {"name": "Ada"}}
    await client.request("tasks/update", task_id, taskId=task_id, inputResponses={key: answer})

    task = await client.until("completed", task_id)
    assert task["result"]["content"][0]["text"] == "Hello, Ada!"


async def test_a_cancelled_task_stops_and_stays_cancelled(client: Client, tmp_path: Path):
    gate = tmp_path / "gate"
    task_id = await client.call("walk", gate=str(gate))

    await client.request("tasks/cancel", task_id, taskId=task_id)

    task = await client.until("cancelled", task_id)
    gate.touch()  # too late: nobody is walking any more
    assert await client.get(task_id) == task


async def test_a_worker_dies_and_another_goes_on_behind_the_last_finished_step(
    client: Client, server: Server, tmp_path: Path
):
    diary, gate = tmp_path / "diary", tmp_path / "gate"
    task_id = await client.call("build", diary=str(diary), gate=str(gate))
    async with aclosing(client.listen(task_id)) as snapshots:
        await anext(task async for task in snapshots if progress_of(task) == 1)

    server.kill_worker()
    gate.touch()

    task = await client.until("completed", task_id)
    assert task["result"]["content"][0]["text"] == "a house"
    assert diary.read_text().splitlines() == ["foundation", "walls"], "no step was done twice"


async def test_a_worker_with_another_tool_adds_it_to_the_server_that_runs(
    client: Client, server: Server, tmp_path: Path
):
    tools = tmp_path / "shouting.py"
    tools.write_text(
        "from workers import tool\n"
        "\n"
        "@tool()\n"
        "async def shout(text: str) -> str:\n"
        "    '''Say it louder.'''\n"
        "    return text.upper()\n"
    )
    server.add_worker(tools)

    async def offered() -> bool:
        return "shout" in await client.tools()

    await wait_until(offered, 20, describing="the new tool")
    task = await client.until("completed", await client.call("shout", text="hello"))
    assert task["result"]["content"][0]["text"] == "HELLO"
