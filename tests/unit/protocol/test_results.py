"""Splicing stored outcomes into answers: basic/index "Result Responses"."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tasks_server.protocol.server_info import SERVER_INFO
from tasks_server.protocol.v2026_07_28.results import direct, input_required, nested

INFO = {"io.modelcontextprotocol/serverInfo": SERVER_INFO}


def plain(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))


@pytest.mark.parametrize("outcome", ["{}", "{ }", '{"a":1}', '{ "a" : 1 }', '{"a":{"b":"}"}}'])
def test_a_nested_result_gains_its_type_and_nothing_else(outcome: str) -> None:
    assert plain(nested(outcome)) == {"resultType": "complete", **orjson.loads(outcome)}


@pytest.mark.parametrize("outcome", ["{}", '{"content":[]}', '{"content":[{"text":"\\"_meta\\":"}]}'])
def test_a_direct_result_says_who_answers(outcome: str) -> None:
    assert plain(direct(outcome)) == {"resultType": "complete", **orjson.loads(outcome), "_meta": INFO}


def test_a_result_keeps_its_own_meta() -> None:
    result = plain(direct('{"content":[],"_meta":{"mine":1}}'))
    assert result["_meta"] == {**INFO, "mine": 1}


def test_meta_deeper_inside_is_left_alone() -> None:
    result = plain(direct('{"content":[{"type":"text","text":"","_meta":{"mine":1}}]}'))
    assert result["_meta"] == INFO
    assert result["content"][0]["_meta"] == {"mine": 1}


def test_added_fields_yield_to_the_results_own() -> None:
    assert plain(direct('{"contents":[]}', ttlMs=0))["ttlMs"] == 0
    assert plain(direct('{"contents":[],"ttlMs":5}', ttlMs=0))["ttlMs"] == 5


def test_a_spliced_result_has_every_field_once() -> None:
    encoded = orjson.dumps(direct('{"content":[],"isError":false}', ttlMs=0)).decode()
    assert [encoded.count(f'"{name}":') for name in ("resultType", "_meta", "ttlMs", "content")] == [
        1,
        1,
        1,
        1,
    ]


def test_a_round_without_questions_has_no_empty_map_of_them() -> None:
    assert "inputRequests" not in input_required(None, "state")
    assert "inputRequests" not in input_required({}, "state")
