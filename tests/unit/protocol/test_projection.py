"""How tasks look on the wire: ext-tasks "Tasks", "Task Status"."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tasks_server.protocol.scalars import number, timestamp
from tasks_server.protocol.v2026_07_28.projection import detailed_task, progress_meta, task_fields
from tasks_server.protocol.v2026_07_28.results import complete, created
from tasks_server.task import InputRequest, OutcomeKind, Task, TaskStatus
from tests.protocol.official import check_response
from tests.unit.protocol.tasks import task

FORM = '{"message":"?","requestedSchema":{"type":"object","properties":{}}}'
QUESTION = '{"method":"elicitation/create","params":' + FORM + "}"
RESULT = '{"content":[{"type":"text","text":"done"}],"isError":true}'
ERROR = '{"code":-32000,"message":"broke","data":{"a":1}}'


def completed(outcome: str = RESULT) -> Task:
    return task(status=TaskStatus.COMPLETED, outcome_kind=OutcomeKind.RESULT, outcome=outcome)


def shown(value: Task) -> dict[str, Any]:
    result = orjson.loads(orjson.dumps(complete(**detailed_task(value))))
    check_response({"jsonrpc": "2.0", "id": 1, "result": result}, "tasks/get")
    return result


def test_a_working_task_shows_when_and_for_how_long_and_nothing_else() -> None:
    result = shown(task())
    del result["_meta"]
    assert result == {
        "resultType": "complete",
        "taskId": "0123456789abcdef0123456789abcdef",
        "status": "working",
        "createdAt": "2026-07-28T00:00:00.123Z",
        "lastUpdatedAt": "2026-07-28T00:00:01.000Z",
        "ttlMs": None,
    }


def test_what_is_known_is_shown() -> None:
    result = shown(task(ttl_ms=60_000, poll_interval_ms=500, status_message="page 3"))
    assert (result["ttlMs"], result["pollIntervalMs"], result["statusMessage"]) == (60_000, 500, "page 3")


def test_a_task_that_asks_shows_all_its_questions() -> None:
    asking = task(
        status=TaskStatus.INPUT_REQUIRED,
        input_requests=(InputRequest("a", QUESTION), InputRequest("b", QUESTION)),
    )
    assert shown(asking)["inputRequests"] == {"a": orjson.loads(QUESTION), "b": orjson.loads(QUESTION)}


def test_a_completed_task_shows_its_result_as_the_call_would_have_returned_it() -> None:
    assert shown(completed())["result"] == {"resultType": "complete", **orjson.loads(RESULT)}


def test_a_failed_task_shows_its_error_and_says_why() -> None:
    result = shown(task(status=TaskStatus.FAILED, outcome_kind=OutcomeKind.RPC_ERROR, outcome=ERROR))
    assert result["error"] == orjson.loads(ERROR)
    assert result["statusMessage"] == "broke"


def test_a_cancelled_task_shows_neither_result_nor_error() -> None:
    result = shown(task(status=TaskStatus.CANCELLED, outcome_kind=OutcomeKind.CANCELLED))
    assert not {"result", "error", "inputRequests"} & set(result)


@pytest.mark.parametrize("value", [task(), completed()])
def test_a_handle_shows_the_task_without_its_result(value: Task) -> None:
    result = orjson.loads(orjson.dumps(created(task_fields(value))))
    check_response({"jsonrpc": "2.0", "id": 1, "result": result}, "tools/call")
    assert result["resultType"] == "task"
    assert "result" not in result


def test_progress_is_told_as_it_was_reported() -> None:
    assert progress_meta(task()) == {}
    assert progress_meta(task(progress=3.0)) == {"tasks-server/progress": {"progress": 3}}
    assert progress_meta(task(progress=0.5, progress_total=2.0)) == {
        "tasks-server/progress": {"progress": 0.5, "total": 2}
    }


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (1_785_196_800_999, "2026-07-28T00:00:00.999Z"),
    ],
)
def test_times_are_utc_to_the_millisecond(milliseconds: int, text: str) -> None:
    assert timestamp(milliseconds) == text


@pytest.mark.parametrize("value", [1e300, -1e300, 2.0**64, 2.0**53 + 2, 5e-324])
def test_every_finite_number_can_be_written(value: float) -> None:
    assert orjson.loads(orjson.dumps(number(value))) == value


def test_whole_numbers_have_no_decimal_point() -> None:
    assert orjson.dumps([number(50.0), number(0.25), number(7)]) == b"[50,0.25,7]"
