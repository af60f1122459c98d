"""Calls that wait: progress, log lines, questions by rounds, and what happens when somebody leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.protocol import offers
from tests.protocol.client import PREFIX, Client
from tests.protocol.conftest import ServerStarter, kept_in_a_task

ELICITATION: dict[str, Any] = {"elicitation": {}}
LOG_LEVEL = PREFIX + "logLevel"


def accept(**content: Any) -> dict[str, Any]:
    return {"action": "accept", "content": content}


async def test_progress_goes_up_and_only_to_callers_with_a_token(client: Client) -> None:
    offers.board.set("go on")
    answer = await client.request(
        "tools/call", {"name": "count", "arguments": {"upto": 3}}, meta={"progressToken": "p"}
    )
    assert answer.is_stream
    assert answer.headers["x-accel-buffering"] == "no"
    told = [message["params"] for message in answer.notifications]
    assert [params["progress"] for params in told] == [1, 2, 3]
    assert {params["progressToken"] for params in told} == {"p"}
    assert told[0] == {"progressToken": "p", "progress": 1, "total": 3, "message": "step 1"}
    assert answer.text == "3"
    without = await client.call("count", {"upto": 3})
    assert not without.notifications
    assert not without.is_stream


async def test_a_token_may_be_zero(client: Client) -> None:
    offers.board.set("go on")
    answer = await client.request(
        "tools/call", {"name": "count", "arguments": {"upto": 1}}, meta={"progressToken": 0}
    )
    assert [message["params"]["progressToken"] for message in answer.notifications] == [0]


async def test_log_lines_go_to_callers_that_asked_for_their_level(client: Client) -> None:
    offers.board.set("go on")
    call = {"name": "count", "arguments": {"upto": 1}}
    answer = await client.request("tools/call", call, meta={LOG_LEVEL: "info"})
    assert [message["params"] for message in answer.notifications] == [
        {"level": "warning", "data": "after 1", "logger": "counter"}
    ]
    everything = await client.request("tools/call", call, meta={LOG_LEVEL: "debug"})
    assert [message["params"]["level"] for message in everything.notifications] == ["debug", "warning"]


async def test_an_answer_that_takes_long_becomes_a_stream(client: Client) -> None:
    async with client.stream("tools/call", {"name": "hold", "arguments": {"label": "late"}}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        offers.board.set("go on")
        assert [message async for message in stream] == []
        assert stream.response is not None
        assert stream.response["result"]["content"][0]["text"] == "late"


async def test_a_caller_that_hangs_up_stops_the_work(client: Client) -> None:
    async with client.stream("tools/call", {"name": "hold", "arguments": {}}):
        await offers.board.wait("holding")
        assert not offers.board.is_set("stopped")
    await offers.board.wait("stopped")


async def test_questions_come_in_rounds_and_the_task_is_never_started_again(client: Client) -> None:
    client = client.declaring(ELICITATION)
    first = (await client.call("ask_twice")).result
    assert first["resultType"] == "input_required"
    assert list(first["inputRequests"]) == ["who"]
    second = (
        await client.call(
            "ask_twice", inputResponses={"who": accept(name="Ada")}, requestState=first["requestState"]
        )
    ).result
    assert list(second["inputRequests"]) == ["agreed"]
    assert second["requestState"] != first["requestState"]
    last = await client.call(
        "ask_twice", inputResponses={"agreed": accept(ok=True)}, requestState=second["requestState"]
    )
    assert last.text == "Ada: True"


async def test_a_retry_without_all_answers_is_asked_for_the_rest(client: Client) -> None:
    client = client.declaring(ELICITATION)
    first = (await client.call("ask_together")).result
    assert sorted(first["inputRequests"]) == ["agreed", "who"]
    again = (
        await client.call(
            "ask_together", inputResponses={"who": accept(name="Ada")}, requestState=first["requestState"]
        )
    ).result
    assert list(again["inputRequests"]) == ["agreed"]
    last = await client.call(
        "ask_together", inputResponses={"agreed": accept(ok=False)}, requestState=again["requestState"]
    )
    assert last.text == "Ada: False"


async def test_answers_may_come_with_the_call_and_others_are_ignored(client: Client) -> None:
    answers = {"who": accept(name="Ada"), "agreed": accept(ok=True), "never asked": 5}
    answer = await client.declaring(ELICITATION).call("ask_twice", inputResponses=answers)
    assert answer.text == "Ada: True"


@pytest.mark.parametrize("answer", [5, None, {"action": "maybe"}, accept(), accept(name=7)])
async def test_a_bad_answer_is_refused_and_the_question_stays(client: Client, answer: Any) -> None:
    client = client.declaring(ELICITATION)
    first = (await client.call("ask_twice")).result
    refused = await client.call(
        "ask_twice", inputResponses={"who": answer}, requestState=first["requestState"]
    )
    assert refused.error["code"] == -32602
    assert "who" in refused.error["message"]
    good = await client.call(
        "ask_twice", inputResponses={"who": accept(name="Ada")}, requestState=first["requestState"]
    )
    assert list(good.result["inputRequests"]) == ["agreed"]


async def test_a_declined_question_ends_the_call_as_the_tool_decides(client: Client) -> None:
    client = client.declaring(ELICITATION)
    first = (await client.call("ask_twice")).result
    declined = await client.call(
        "ask_twice", inputResponses={"who": {"action": "decline"}}, requestState=first["requestState"]
    )
    assert declined.result["isError"] is True


@pytest.mark.parametrize("change", ["state", "arguments", "tool", "method"])
async def test_a_state_fits_only_the_request_it_was_made_for(client: Client, change: str) -> None:
    client = client.declaring(ELICITATION)
    state = (await client.call("ask_twice")).result["requestState"]
    params: dict[str, Any] = {"name": "ask_twice", "arguments": {}, "requestState": state}
    method = "tools/call"
    match change:
        case "state":
            params["requestState"] = state + "-TAMPERED"
        case "arguments":
            params["arguments"] = {"more": 1}
        case "tool":
            params["name"] = "ask_together"
        case _:
            method, params["name"] = "prompts/get", "ask_first"
    assert (await client.request(method, params)).error["code"] == -32602


@pytest.mark.parametrize(
    ("tool", "capabilities", "required"),
    [
        ("ask_twice", {}, {"elicitation": {}}),
        ("ask_twice", {"sampling": {}}, {"elicitation": {}}),
        ("ask_outside", {"elicitation": {}}, {"elicitation": {"url": {}}}),
        ("sample", {"elicitation": {}}, {"sampling": {}}),
    ],
)
async def test_a_client_that_cannot_be_asked_is_told_what_it_would_need(
    client: Client, tool: str, capabilities: dict[str, Any], required: dict[str, Any]
) -> None:
    answer = await client.declaring(capabilities).call(tool)
    assert (answer.status, answer.error["code"]) == (400, -32021)
    assert answer.error["data"]["requiredCapabilities"] == required


async def test_a_retry_that_can_no_longer_be_asked_is_refused(client: Client) -> None:
    first = (await client.declaring(ELICITATION).call("ask_twice")).result
    answer = await client.declaring({}).call("ask_twice", requestState=first["requestState"])
    assert answer.error["code"] == -32021


async def test_another_server_carries_on_where_a_stopping_one_left(
    client: Client, start_server: ServerStarter
) -> None:
    stopping = kept_in_a_task(start_server())
    other = client.at(await stopping.__aenter__())
    async with other.stream("tools/call", {"name": "hold", "arguments": {}}) as stream:
        await offers.board.wait("holding")
        stopped = asyncio.create_task(stopping.__aexit__(None, None, None))
        assert [message async for message in stream] == []
    await stopped
    assert stream.response is not None
    handed_over = stream.response["result"]
    assert handed_over["resultType"] == "input_required"
    assert "inputRequests" not in handed_over
    offers.board.set("go on")
    assert (await client.call("hold", requestState=handed_over["requestState"])).text == "held"
    assert offers.starts["hold"] == 1
