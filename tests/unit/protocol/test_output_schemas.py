"""What a tool's output schema becomes when its call may be answered with a task instead of its result."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from tasks_server.protocol.task_tools.output_schemas import STILL_RUNNING, or_still_running
from tests.unit.protocol.schemas import MOVABLE, NOT_MOVABLE, Example

RUNNING = {"taskId": "0123", "status": "working"}


def fits(schema: dict[str, Any], value: Any) -> bool:
    return jsonschema_rs.validator_for(schema, offline=True).is_valid(value)


def widened(schema: dict[str, Any]) -> dict[str, Any]:
    found = or_still_running(schema)
    assert found is not None
    return found


@pytest.mark.parametrize("example", MOVABLE, ids=lambda example: example.name)
def test_results_and_tasks_fit_and_nothing_else(example: Example):
    assert fits(example.schema, example.result)
    assert fits(widened(example.schema), example.result)
    assert fits(widened(example.schema), RUNNING)
    assert not fits(widened(example.schema), example.no_result)


@pytest.mark.parametrize("example", MOVABLE, ids=lambda example: example.name)
def test_the_root_says_that_it_is_an_object_where_that_is_sure(example: Example):
    assert widened(example.schema).get("type") == ("object" if example.is_object else None)


@pytest.mark.parametrize("example", MOVABLE, ids=lambda example: example.name)
def test_the_tools_own_schema_stays_as_it_is(example: Example):
    before = json.dumps(example.schema)
    or_still_running(example.schema)
    assert json.dumps(example.schema) == before


@pytest.mark.parametrize("example", NOT_MOVABLE, ids=lambda example: example.name)
def test_a_schema_whose_references_depend_on_their_place_is_left_alone(example: Example):
    assert fits(example.schema, example.result)
    assert or_still_running(example.schema) is None


def test_the_draft_is_named_where_it_counts():
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}
    assert widened(schema) == {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "anyOf": [{"type": "object"}, STILL_RUNNING],
    }


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_task_that_has_ended_is_no_answer_to_a_call(status: str):
    strict = widened({"type": "object", "additionalProperties": False})
    assert fits(strict, RUNNING)
    assert not fits(strict, {**RUNNING, "status": status})
