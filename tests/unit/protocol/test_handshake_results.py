"""Tasks and their outcomes as the revisions with a handshake have them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tasks_server.errors import RpcError
from tasks_server.protocol.v2025_11_25.results import (
    RELATED_TASK,
    made_here,
    outcome,
    related,
    stored_result,
    task_fields,
)
from tasks_server.protocol.v2025_11_25.revisions import LATEST, REVISIONS, negotiated
from tasks_server.protocol.v2025_11_25.session import begin_session
from tasks_server.task import Method, OutcomeKind, Task, TaskStatus
from tests.unit.protocol.tasks import task

LINK = {"type": "resource_link", "uri": "artifact://1/plan.txt", "name": "plan.txt"}
AUDIO = {"type": "audio", "data": "", "mimeType": "audio/wav"}
TEXT = {"type": "text", "text": "done"}
RPC_ERROR = {"code": -31000, "message": "The ledger is closed.", "data": {"until": "Monday"}}


def decoded(result: Any) -> dict[str, Any]:
    return orjson.loads(orjson.dumps(result))


def ended(result: dict[str, Any], **changes: Any) -> Task:
    stored = orjson.dumps(result).decode()
    given = {"status": TaskStatus.COMPLETED, "outcome_kind": OutcomeKind.RESULT, "outcome": stored, **changes}
    return task(**given)


def failed(error: dict[str, Any], **changes: Any) -> Task:
    return ended(error, status=TaskStatus.FAILED, outcome_kind=OutcomeKind.RPC_ERROR, **changes)


def test_a_tool_result_that_is_an_error_has_failed() -> None:
    """basic/utilities/tasks#task-execution-errors"""
    shown = task_fields(ended({"content": [TEXT], "isError": True}, status_message="Counting"))
    assert (shown["status"], shown["statusMessage"]) == ("failed", "done")


@pytest.mark.parametrize(
    "result",
    [
        {"content": [TEXT], "isError": False},
        {"content": [{"type": "text", "text": '"isError":true'}]},
        {"content": [], "structuredContent": {"isError": True}},
    ],
    ids=str,
)
def test_what_only_looks_like_an_error_has_completed(result: dict[str, Any]) -> None:
    assert task_fields(ended(result))["status"] == "completed"


def test_an_error_says_why_its_task_has_failed() -> None:
    shown = task_fields(failed(RPC_ERROR))
    assert (shown["status"], shown["statusMessage"]) == ("failed", "The ledger is closed.")


def test_a_ttl_without_end_is_said() -> None:
    """basic/utilities/tasks#ttl-and-resource-management: `null` for unlimited."""
    assert task_fields(task(ttl_ms=None))["ttl"] is None


@pytest.mark.parametrize("meta", [None, {"author": "tool"}], ids=str)
def test_a_result_names_its_task_beside_what_the_tool_says(meta: dict[str, Any] | None) -> None:
    """basic/utilities/tasks#related-task-metadata"""
    own: dict[str, Any] = {} if meta is None else {"_meta": meta}
    result = decoded(outcome(ended({"content": [TEXT], **own}), LATEST, related("7")))
    assert result == {"content": [TEXT], "_meta": {RELATED_TASK: {"taskId": "7"}, **(meta or {})}}


def test_an_error_comes_as_it_was() -> None:
    """basic/utilities/tasks#result-retrieval: that same JSON-RPC error"""
    with pytest.raises(RpcError) as raised:
        outcome(failed(RPC_ERROR), LATEST)
    assert raised.value.as_object() == RPC_ERROR


@pytest.mark.parametrize(
    ("method", "error", "code"),
    [
        (Method.READ_RESOURCE, {"code": -32602, "message": "?", "data": {"uri": "a:b"}}, -32002),
        (Method.READ_RESOURCE, {"code": -32602, "message": "?"}, -32602),
        (Method.CALL_TOOL, {"code": -32602, "message": "?", "data": {"uri": "a:b"}}, -32602),
        (Method.CALL_TOOL, {"code": -32021, "message": "?"}, -32603),
    ],
)
def test_codes_of_2026_are_said_in_those_of_2025(method: Method, error: dict[str, Any], code: int) -> None:
    """server/resources#error-handling"""
    with pytest.raises(RpcError) as raised:
        outcome(failed(error, method=method), LATEST)
    assert raised.value.code == code


def test_older_clients_get_what_they_know() -> None:
    result = {"content": [TEXT, LINK, AUDIO], "structuredContent": {"a": 1}}
    stored = orjson.dumps(result).decode()
    assert decoded(stored_result(stored, REVISIONS["2025-06-18"])) == result
    older = decoded(stored_result(stored, REVISIONS["2025-03-26"]))
    assert older["content"] == [
        TEXT,
        {"type": "text", "text": "Resource plan.txt: artifact://1/plan.txt"},
        AUDIO,
    ]
    assert "structuredContent" not in older
    oldest = decoded(stored_result(stored, REVISIONS["2024-11-05"]))
    assert [block["type"] for block in oldest["content"]] == ["text", "text", "text"]


@pytest.mark.parametrize("structured", [[1, 2], "text", 7, None])
def test_structured_content_that_is_no_object_is_left_out(structured: Any) -> None:
    """server/tools#structured-content"""
    result = {"content": [TEXT], "structuredContent": structured}
    assert decoded(made_here(result, LATEST)) == {"content": [TEXT]}
    assert decoded(stored_result(orjson.dumps(result).decode(), LATEST)) == {"content": [TEXT]}


@pytest.mark.parametrize("version", REVISIONS)
def test_a_version_that_is_served_is_agreed_to(version: str) -> None:
    """basic/lifecycle#version-negotiation"""
    assert negotiated(version).version == version


@pytest.mark.parametrize("version", ["2026-07-28", "1999-01-01", ""])
def test_another_version_gets_the_latest(version: str) -> None:
    assert negotiated(version) is LATEST


@pytest.mark.parametrize(
    ("version", "remembered"),
    [
        (
            "2025-11-25",
            {"elicitation": {"url": {}}, "sampling": {"tools": {}}, "roots": {}, "tasks": {"list": {}}},
        ),
        ("2025-06-18", {"elicitation": {}, "sampling": {"context": {}}, "roots": {}}),
        ("2025-03-26", {"sampling": {"context": {}}, "roots": {}}),
    ],
)
def test_a_session_remembers_what_its_revision_knows(version: str, remembered: dict[str, Any]) -> None:
    capabilities: dict[str, Any] = {
        "elicitation": {"url": {}},
        "sampling": {"tools": {}},
        "roots": {"listChanged": True},
        "tasks": {"list": {}},
        "experimental": {"x" * 10_000: {}},
    }
    assert begin_session("ada", REVISIONS[version], capabilities).capabilities == remembered


def test_a_session_id_does_not_grow_with_what_a_client_declares() -> None:
    many: dict[str, Any] = {str(number): {"a": {"b": {"c": {"d": {}}}}} for number in range(10_000)}
    session = begin_session("ada", LATEST, {"elicitation": many, "sampling": {"y" * 10_000: {}}})
    assert len(orjson.dumps(session.capabilities)) < 1_000
