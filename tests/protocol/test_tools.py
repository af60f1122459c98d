"""`tools/list` and `tools/call`: server/tools, ext-tasks "Task Creation"."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol import offers
from tests.protocol.client import TASKS, Client


async def test_tools_are_listed_with_their_schemas_in_a_fixed_order(client: Client) -> None:
    first, second = [(await client.request("tools/list")).result["tools"] for _ in range(2)]
    assert first == second
    greet = next(tool for tool in first if tool["name"] == "greet")
    assert greet["description"] == "Says hello."
    assert greet["inputSchema"]["required"] == ["name"]
    assert all("execution" not in tool for tool in first)


async def test_a_call_answers_with_the_plain_result(client: Client) -> None:
    answer = await client.call("greet", {"name": "Ada"})
    assert (answer.status, answer.text) == (200, "Hello, Ada!")
    assert answer.result["resultType"] == "complete"
    assert not answer.is_stream


async def test_a_client_that_declares_tasks_gets_a_handle_that_resolves_at_once(client: Client) -> None:
    client = client.declaring(TASKS)
    created = (await client.call("hold")).result
    assert (created["resultType"], created["status"]) == ("task", "working")
    shown = (await client.request("tasks/get", {"taskId": created["taskId"]})).result
    assert shown["taskId"] == created["taskId"]


async def test_a_tool_that_is_never_a_task_answers_directly(client: Client) -> None:
    assert (await client.declaring(TASKS).call("never_as_task")).text == "done"


async def test_a_tool_that_is_always_a_task_needs_a_client_that_can_take_one(client: Client) -> None:
    answer = await client.call("only_as_task")
    assert (answer.status, answer.error["code"]) == (400, -32021)
    assert answer.error["data"]["requiredCapabilities"] == TASKS
    assert (await client.declaring(TASKS).call("only_as_task")).result["resultType"] == "task"


async def test_the_old_way_of_asking_for_a_task_changes_nothing(client: Client) -> None:
    legacy: dict[str, Any] = {"tasks": {"requests": {"tools": {"call": {}}}}}
    answer = await client.declaring(legacy).call("greet", {"name": "Ada"}, task={"ttl": 60_000})
    assert answer.text == "Hello, Ada!"


async def test_an_unknown_tool_is_a_protocol_error(client: Client) -> None:
    answer = await client.call("nothing")
    assert (answer.status, answer.error["code"]) == (400, -32602)


@pytest.mark.parametrize(
    "params", [{"name": 5}, {}, {"name": "greet", "arguments": []}, {"name": "greet", "arguments": None}]
)
async def test_a_malformed_call_is_a_protocol_error(client: Client, params: dict[str, object]) -> None:
    assert (await client.request("tools/call", params)).error["code"] == -32602


async def test_arguments_that_do_not_fit_are_told_to_the_model_and_start_nothing(client: Client) -> None:
    answer = await client.declaring(TASKS).call("greet", {"times": 12})
    assert answer.result["isError"] is True
    assert '"name" is a required property' in answer.text
    assert "times: 12" in answer.text


async def test_a_failing_tool_is_a_result_and_a_protocol_fault_an_error(client: Client) -> None:
    failed = await client.call("fail")
    assert failed.result["isError"] is True
    assert failed.text == "It did not work; try something else."
    faulty = await client.call("fault")
    assert faulty.status == 200
    assert faulty.error == {"code": -31999, "message": "Out of order", "data": {"since": "today"}}


async def test_arguments_may_be_left_out(client: Client) -> None:
    assert (await client.request("tools/call", {"name": "never_as_task"})).text == "done"


async def test_a_handle_outlives_the_connection_that_made_it(client: Client) -> None:
    client = client.declaring(TASKS)
    created = (await client.call("hold", {"label": "still there"})).result
    await offers.board.wait("holding")
    offers.board.set("go on")
    async with client.stream(
        "subscriptions/listen", {"notifications": {"taskIds": [created["taskId"]]}}
    ) as news:
        async for message in news:
            if message["params"].get("status") == "completed":
                assert message["params"]["result"]["content"][0]["text"] == "still there"
                return
