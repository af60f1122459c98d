"""`server/discover` and the lists: what is offered, in pages, with caching hints."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.protocol.spec.requests import FORM, LISTS, TASKS, TASKS_EXTENSION, VERSION, Request
from tests.protocol.spec.stack import ON_ONE_DATABASE
from tests.protocol.spec.tools.prompts_and_resources import MANY
from tests.protocol.spec.wire import Wire

DISCOVER = "server/discover#response"
CACHING = "server/utilities/caching#cacheable-results"
PAGINATION = "server/utilities/pagination#error-handling"
TOOLS = "server/tools#capabilities"
TOOL = "server/tools#tool"


async def tool_named(wire: Wire, name: str) -> dict[str, Any]:
    (found,) = [tool for tool in await wire.items("tools/list") if tool["name"] == name]
    return found


# --- discover --------------------------------------------------------------------------------------------------


@pytest.mark.spec(DISCOVER)
async def test_discovery_says_which_versions_are_spoken(wire: Wire):
    assert VERSION in (await wire.request("server/discover")).result["supportedVersions"]


@pytest.mark.spec("ext-tasks#capability-negotiation")
async def test_the_tasks_extension_is_advertised_with_an_empty_object(wire: Wire):
    capabilities = (await wire.request("server/discover")).result["capabilities"]
    assert capabilities["extensions"] == {TASKS_EXTENSION: {}}


@pytest.mark.spec("ext-tasks#capability-negotiation")
async def test_the_legacy_tasks_capability_is_not_advertised(wire: Wire):
    assert "tasks" not in (await wire.request("server/discover")).result["capabilities"]


@pytest.mark.spec("server/utilities/logging#capabilities")
async def test_logging_is_advertised_because_log_lines_are_sent(wire: Wire):
    assert "logging" in (await wire.request("server/discover")).result["capabilities"]


@pytest.mark.spec(DISCOVER)
@pytest.mark.parametrize("capability", ["tools", "prompts", "resources"])
async def test_changes_of_every_list_are_advertised(wire: Wire, capability: str):
    assert (await wire.request("server/discover")).result["capabilities"][capability]["listChanged"] is True


@pytest.mark.spec(DISCOVER)
async def test_every_advertised_capability_has_its_methods(wire: Wire):
    advertised = (await wire.request("server/discover")).result["capabilities"]
    assert {"tools", "prompts", "resources", "completions"} <= advertised.keys()
    completion = {
        "ref": {"type": "ref/prompt", "name": "review"},
        "argument": {"name": "language", "value": ""},
    }
    assert (await wire.request("completion/complete", completion)).status == 200
    assert [(await wire.request(method)).status for method in LISTS] == [200] * len(LISTS)


@pytest.mark.spec(DISCOVER)
async def test_discovery_is_the_same_on_every_server(wire: Wire, other: Wire):
    first, second = [(await client.request("server/discover")).result for client in (wire, other)]
    assert first == second


# --- caching ---------------------------------------------------------------------------------------------------


@pytest.mark.spec(CACHING)
@pytest.mark.parametrize("method", ["server/discover", *LISTS])
async def test_what_may_be_kept_says_for_how_long_and_for_whom(wire: Wire, method: str):
    for page in await wire.pages(method):
        assert_cacheable(page)


@pytest.mark.spec(CACHING)
async def test_a_resource_says_for_how_long_it_may_be_kept(wire: Wire):
    assert_cacheable((await wire.request("resources/read", {"uri": "spec://text"})).result)


@pytest.mark.spec(CACHING)
async def test_a_question_instead_of_a_resource_carries_no_caching_hints(wire: Wire):
    result = (await wire.request("resources/read", {"uri": "spec://secret"}, FORM)).result
    assert result["resultType"] == "input_required"
    assert not {"ttlMs", "cacheScope"} & result.keys()


@pytest.mark.spec("server/utilities/caching#interaction-with-pagination")
@pytest.mark.parametrize("method", LISTS)
async def test_all_pages_of_a_list_have_the_same_scope(wire: Wire, method: str):
    assert len({page["cacheScope"] for page in await wire.pages(method)}) == 1


def assert_cacheable(result: dict[str, Any]) -> None:
    assert type(result["ttlMs"]) is int
    assert result["ttlMs"] >= 0
    assert result["cacheScope"] in ("public", "private")


# --- pages -----------------------------------------------------------------------------------------------------


@ON_ONE_DATABASE
@pytest.mark.spec(PAGINATION)
@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize("cursor", ["nonsense", "", "MTAw", "=", "é", 7, None])
async def test_a_cursor_that_was_never_given_out_is_refused(wire: Wire, method: str, cursor: Any):
    assert (await wire.request(method, {"cursor": cursor})).error["code"] == -32602


@pytest.mark.spec("server/utilities/pagination#pagination-model")
@pytest.mark.parametrize("method", LISTS)
async def test_nothing_is_listed_twice(wire: Wire, method: str):
    key = {"resources": "uri", "resourceTemplates": "uriTemplate"}.get(LISTS[method], "name")
    names = [item[key] for item in await wire.items(method)]
    assert names
    assert len(names) == len(set(names))


@pytest.mark.spec("server/utilities/pagination#response-format")
async def test_a_long_list_comes_in_pages_that_hold_everything(wire: Wire):
    found = await wire.pages("resources/list")
    assert len(found) > 1
    uris = {resource["uri"] for page in found for resource in page["resources"]}
    assert {f"spec://many/{number}" for number in range(MANY)} <= uris


@pytest.mark.spec("basic/index#statelessness")
async def test_a_list_is_continued_on_another_server(wire: Wire, other: Wire):
    first = (await wire.request("resources/list")).result
    second = (await other.request("resources/list", {"cursor": first["nextCursor"]})).result
    assert second["resources"] == (await wire.pages("resources/list"))[1]["resources"]


@pytest.mark.spec(PAGINATION)
async def test_a_cursor_of_another_list_is_refused(wire: Wire):
    cursor = (await wire.request("resources/list")).result["nextCursor"]
    assert (await wire.request("tools/list", {"cursor": cursor})).error["code"] == -32602


# --- tools/list ------------------------------------------------------------------------------------------------


@pytest.mark.spec(TOOLS)
async def test_tools_are_listed_in_the_same_order_every_time_and_everywhere(wire: Wire, other: Wire):
    orders = [[tool["name"] for tool in await client.items("tools/list")] for client in (wire, other, wire)]
    assert orders[0] == orders[1] == orders[2]


@pytest.mark.spec(TOOLS)
async def test_the_list_does_not_depend_on_what_the_client_can(wire: Wire):
    without = (await wire.request("tools/list")).result
    assert (await wire.request("tools/list", {}, TASKS, FORM)).result == without


@pytest.mark.spec("server/tools#tool-names")
async def test_names_of_tools_are_plain(wire: Wire):
    for tool in await wire.items("tools/list"):
        assert re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", tool["name"])


@pytest.mark.spec(TOOL)
async def test_every_tool_takes_an_object(wire: Wire):
    tools = await wire.items("tools/list")
    assert {tool["inputSchema"]["type"] for tool in tools} == {"object"}


@pytest.mark.spec(TOOL)
async def test_a_tool_says_nothing_about_legacy_execution(wire: Wire):
    tools = await wire.items("tools/list")
    assert tools
    assert not any("execution" in tool for tool in tools)


@pytest.mark.spec("basic/index#json-schema-usage")
async def test_a_schema_is_published_word_for_word(wire: Wire):
    schema = (await tool_named(wire, "route"))["inputSchema"]
    assert {"$schema", "$defs", "if", "then", "additionalProperties"} <= schema.keys()
    assert schema["$defs"]["note"]["$anchor"] == "aNote"
    assert schema["properties"]["remark"] == {"$ref": "#/$defs/note"}


@pytest.mark.spec(TOOL)
async def test_titles_and_descriptions_are_published(wire: Wire):
    tool = await tool_named(wire, "middle")
    assert tool["title"] == "Middle of two points"
    assert tool["description"] == "Returns structured content."


@pytest.mark.spec("server/prompts#listing-prompts")
async def test_a_prompt_says_which_arguments_it_needs(wire: Wire):
    (review,) = [prompt for prompt in await wire.items("prompts/list") if prompt["name"] == "review"]
    needed = {argument["name"]: argument.get("required", False) for argument in review["arguments"]}
    assert needed == {"code": True, "language": False}


@pytest.mark.spec("server/resources#resource-templates")
async def test_templates_are_listed_apart_from_resources(wire: Wire):
    resources = {resource["uri"] for resource in await wire.items("resources/list")}
    templates = {template["uriTemplate"] for template in await wire.items("resources/templates/list")}
    assert "spec://text" in resources
    assert "spec://note/{day}" in templates
    assert not any("{" in uri for uri in resources)


@pytest.mark.spec("basic/index#responses")
@pytest.mark.parametrize("method", ["server/discover", *LISTS])
async def test_an_answer_that_is_there_at_once_is_plain_json(wire: Wire, method: str):
    assert (await wire.send(Request.of(method))).headers["content-type"] == "application/json"
