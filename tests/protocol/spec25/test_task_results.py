"""`tasks/get` looks, `tasks/result` waits and gives exactly what the call would have given."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.stack import Stack
from tests.protocol.spec25.official import RELATED, TASK_FIELDS
from tests.protocol.spec25.session import Session
from tests.support.waiting import wait_until

ENDS: list[tuple[str, dict[str, Any], str]] = [
    ("succeed", {"text": "well"}, "completed"),
    ("fail", {}, "failed"),
    ("fault", {}, "failed"),
    ("break_down", {}, "failed"),
]


def without_task(message: dict[str, Any]) -> dict[str, Any]:
    """An answer without what ties it to its request or its task."""
    answer = {key: value for key, value in message.items() if key in ("result", "error")}
    if "result" in answer:
        meta = {key: value for key, value in answer["result"].get("_meta", {}).items() if key != RELATED}
        rest = {key: value for key, value in answer["result"].items() if key != "_meta"}
        answer["result"] = {**rest, "_meta": meta}
    return answer


@pytest.mark.parametrize(("tool", "arguments", "status"), ENDS)
async def test_the_result_is_what_the_call_would_have_returned(
    session: Session, tool: str, arguments: dict[str, Any], status: str
):
    """basic/utilities/tasks#result-retrieval: MUST be exactly that, result or JSON-RPC error."""
    plain = await session.call(tool, arguments)
    task_id = await session.create(tool, arguments)
    fetched = await session.fetch(task_id)
    assert without_task(fetched.message) == without_task(plain.message)
    assert (await session.task(task_id))["status"] == status


@pytest.mark.parametrize("tool", ["succeed", "fail", "break_down"])
async def test_a_result_names_its_task(session: Session, tool: str):
    """basic/utilities/tasks#related-task-metadata: `tasks/result` MUST include it."""
    task_id = await session.create(tool)
    assert (await session.fetch(task_id)).result["_meta"][RELATED] == {"taskId": task_id}


async def test_a_plain_result_names_no_task(session: Session):
    """basic/utilities/tasks#related-task-metadata: it is associated with none."""
    assert RELATED not in (await session.call("succeed")).result.get("_meta", {})


async def test_a_result_can_be_fetched_again(session: Session):
    """basic/utilities/tasks#result-retrieval: whenever the task is in a terminal status."""
    task_id = await session.create("succeed")
    first, second = await session.fetch(task_id), await session.fetch(task_id)
    assert first.result == second.result


async def test_waiting_lasts_until_the_end(session: Session, notes: Notes):
    """basic/utilities/tasks#result-retrieval: MUST block until the task reaches a terminal status."""
    task_id = await session.create("hold", notes.directory)
    async with session.stream(session.fetching(task_id)) as stream:
        await notes.seen("started")
        assert (await session.task(task_id))["status"] == "working"
        assert stream.responses == []
        notes.leave("go")
        assert (await stream.reply()).text == "held"


async def test_several_may_wait_on_all_replicas(stack: Stack, session: Session, notes: Notes):
    """basic/utilities/tasks#result-retrieval: each request is answered."""
    task_id = await session.create("hold", notes.directory)
    other = session.at(stack.other_url)
    async with (
        session.stream(session.fetching(task_id)) as first,
        session.stream(session.fetching(task_id)) as second,
        other.stream(session.fetching(task_id)) as third,
    ):
        notes.leave("go")
        assert [(await waiter.reply()).text for waiter in (first, second, third)] == ["held"] * 3


async def test_waiting_can_be_given_up_and_taken_up(session: Session, notes: Notes):
    """basic/utilities/tasks#retrieving-task-results: MAY disconnect at any time."""
    task_id = await session.create("hold", notes.directory)
    async with session.stream(session.fetching(task_id)) as given_up:
        await given_up.primed()
    async with session.stream(session.fetching(task_id)) as stream:
        notes.leave("go")
        assert (await stream.reply()).text == "held"
    async with session.listen(after=given_up.ids[-1]) as resumed:
        assert (await resumed.reply()).text == "held"


@pytest.mark.parametrize(("tool", "arguments", "status"), ENDS)
async def test_a_task_is_flat(session: Session, tool: str, arguments: dict[str, Any], status: str):
    """basic/utilities/tasks#getting-tasks: the Task and nothing else; #related-task-metadata SHOULD NOT."""
    task_id = await session.create(tool, arguments)
    task = await session.reached(task_id, status)
    assert task.keys() <= {*TASK_FIELDS, "_meta"}
    assert RELATED not in task.get("_meta", {})
    assert task["taskId"] == task_id


@pytest.mark.parametrize("tool", ["fail", "fault", "break_down"])
async def test_a_failed_task_says_why(session: Session, tool: str):
    """basic/utilities/tasks#task-execution-errors: SHOULD include a `statusMessage`."""
    assert (await session.reached(await session.create(tool), "failed"))["statusMessage"]


async def test_the_times_of_a_task_go_on(session: Session, notes: Notes):
    """basic/utilities/tasks#ttl-and-resource-management: ISO 8601, in all task responses."""
    task_id = await session.create("hold", notes.directory)
    before = await session.task(task_id)
    notes.leave("go")
    after = await session.reached(task_id, "completed")
    assert after["createdAt"] == before["createdAt"]
    updated = [datetime.fromisoformat(task["lastUpdatedAt"]) for task in (before, after)]
    assert updated == sorted(updated)
    assert all(time.tzinfo is not None for time in updated)


async def test_polling_is_not_answered_with_a_stream(session: Session, notes: Notes):
    """basic/utilities/tasks#input-required-status: SHOULD NOT upgrade in response to `tasks/get`."""
    task_id = await session.create("hold", notes.directory)
    for method in ("tasks/get", "tasks/cancel"):
        async with session.stream(session.message(method, {"taskId": task_id})) as stream:
            assert not stream.is_sse
            await stream.reply()


@pytest.mark.parametrize("method", ["tasks/get", "tasks/result", "tasks/cancel"])
@pytest.mark.parametrize(
    "params", [{"taskId": "unknown"}, {"taskId": ""}, {"taskId": 7}, {}, None, {"taskId": "\x00"}]
)
async def test_a_task_that_does_not_exist_is_an_error(
    session: Session, method: str, params: dict[str, Any] | None
):
    """basic/utilities/tasks#protocol-errors: MUST be -32602."""
    assert (await session.request(method, params)).code == -32602


@pytest.mark.parametrize("method", ["tasks/get", "tasks/result"])
async def test_the_param_names_the_task(session: Session, method: str):
    """basic/utilities/tasks#associating-task-related-messages: MUST ignore the metadata in its favor."""
    meant, other = await session.create("succeed", {"text": "meant"}), await session.create("fail")
    await session.reached(meant, "completed")
    params = {"taskId": meant, "_meta": {RELATED: {"taskId": other}}}
    result = (await session.request(method, params)).result
    if method == "tasks/get":
        assert (result["taskId"], result["status"]) == (meant, "completed")
    else:
        assert result["content"][0]["text"] == "meant"
        assert result["_meta"][RELATED] == {"taskId": meant}


async def test_an_expired_task_is_gone(session: Session, notes: Notes):
    """basic/utilities/tasks#ttl-and-resource-management, #protocol-errors: -32602."""
    task_id = await session.create("soon_forgotten", notes.directory)
    notes.leave("go")
    await session.fetch(task_id)

    async def look() -> bool:
        return "error" in (await session.request("tasks/get", {"taskId": task_id})).message

    await wait_until(look, describing="the end of what is kept", every=0.05)
    for method in ("tasks/get", "tasks/result", "tasks/cancel"):
        assert (await session.request(method, {"taskId": task_id})).code == -32602
