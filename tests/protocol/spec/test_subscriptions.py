"""`subscriptions/listen`: acknowledged first, then what was asked for and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.requests import MCP, SUBSCRIPTION_ID, TASKS, Request, calling, listening
from tests.protocol.spec.stack import ON_ONE_DATABASE
from tests.protocol.spec.wire import Stream, Wire

OPENING = "basic/patterns/subscriptions#opening-a-stream"
ACKNOWLEDGMENT = "basic/patterns/subscriptions#acknowledgment"
RECEIVING = "basic/patterns/subscriptions#receiving-notifications"
CONCURRENT = "basic/patterns/subscriptions#multiple-concurrent-subscriptions"
UPDATED = "server/resources#subscriptions"
HTTP = "basic/transports/streamable-http#receiving-messages"

ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
TOOLS = "notifications/tools/list_changed"
PROMPTS = "notifications/prompts/list_changed"
RESOURCES = "notifications/resources/list_changed"
LISTS = {
    "tool": ("toolsListChanged", TOOLS),
    "prompt": ("promptsListChanged", PROMPTS),
    "resource": ("resourcesListChanged", RESOURCES),
}


def same(found: Any, expected: Any) -> bool:
    return (found, type(found)) == (expected, type(expected))


async def acknowledged(stream: Stream) -> dict[str, Any]:
    """The honoured subset. The first message must be the acknowledgement."""
    message = await stream.next()
    assert message["method"] == ACKNOWLEDGED
    return message["params"]["notifications"]


def methods(stream: Stream) -> list[str]:
    return [message["method"] for message in stream.notifications]


async def heard_until(wire: Wire, stream: Stream, uri: str) -> list[str]:
    """Announce a resource that the stream is subscribed to, and read until that comes: nothing else is under way."""
    await wire.call("announce", {"uri": uri})
    while (await stream.next("notifications/resources/updated"))["params"]["uri"] != uri:
        pass
    return methods(stream)[1:-1]


# --- the acknowledgement -------------------------------------------------------------------------------------------


@pytest.mark.spec(ACKNOWLEDGMENT)
async def test_the_acknowledgement_comes_first(wire: Wire):
    async with wire.stream(listening({"toolsListChanged": True})) as stream:
        assert await acknowledged(stream) == {"toolsListChanged": True}


@pytest.mark.spec(ACKNOWLEDGMENT)
async def test_everything_that_is_served_is_acknowledged(wire: Wire):
    wanted = {
        "toolsListChanged": True,
        "promptsListChanged": True,
        "resourcesListChanged": True,
        "resourceSubscriptions": ["spec://text", "spec://note/monday"],
    }
    async with wire.stream(listening(wanted)) as stream:
        assert await acknowledged(stream) == wanted


@pytest.mark.spec(ACKNOWLEDGMENT)
async def test_kinds_that_do_not_exist_are_left_out(wire: Wire):
    wanted = {"toolsListChanged": True, "weatherChanged": True, "com.example/more": ["x"]}
    async with wire.stream(listening(wanted)) as stream:
        assert await acknowledged(stream) == {"toolsListChanged": True}


@pytest.mark.spec(OPENING)
async def test_nothing_may_be_asked_for(wire: Wire):
    async with wire.stream(listening({})) as stream:
        assert await acknowledged(stream) == {}


@pytest.mark.spec(OPENING)
async def test_what_is_declined_is_not_acknowledged(wire: Wire):
    async with wire.stream(listening({"toolsListChanged": False, "promptsListChanged": True})) as stream:
        assert not (await acknowledged(stream)).get("toolsListChanged")


@pytest.mark.spec(ACKNOWLEDGMENT)
@pytest.mark.parametrize("request_id", [7, "7", "", 0, "listener-ü"])
async def test_the_subscription_has_the_id_of_its_request(wire: Wire, request_id: str | int):
    request = listening({"resourceSubscriptions": ["spec://text"]}).member("id", request_id)
    async with wire.stream(request) as stream:
        await acknowledged(stream)
        await wire.call("announce", {"uri": "spec://text"})
        await stream.next("notifications/resources/updated")
        assert all(
            same(message["params"]["_meta"][SUBSCRIPTION_ID], request_id) for message in stream.notifications
        )


@ON_ONE_DATABASE
@pytest.mark.spec("schema#subscriptionslistenrequestparams")
@pytest.mark.parametrize(
    "filters",
    [
        ...,
        None,
        [],
        {"toolsListChanged": "yes"},
        {"resourceSubscriptions": "spec://text"},
        {"resourceSubscriptions": [5]},
        {"taskIds": "all"},
        {"taskIds": [5]},
        {"taskIds": {}},
    ],
    ids=str,
)
async def test_a_malformed_filter_is_invalid_params(wire: Wire, filters: Any):
    request = Request.of("subscriptions/listen", {}, TASKS).params(notifications=filters)
    assert (await wire.send(request)).error["code"] == -32602


@pytest.mark.spec(HTTP)
async def test_the_answer_is_a_stream_that_proxies_do_not_hold_back(wire: Wire):
    async with wire.stream(listening({})) as stream:
        await acknowledged(stream)
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["x-accel-buffering"] == "no"
        assert not any({"id", "retry"} & event.names for event in stream.events)


# --- lists ---------------------------------------------------------------------------------------------------------


@pytest.mark.spec("server/tools#list-changed-notification")
@pytest.mark.parametrize("what", LISTS)
async def test_a_change_of_a_list_is_told_to_those_who_asked(wire: Wire, other: Wire, what: str):
    field, method = LISTS[what]
    async with wire.stream(listening({field: True})) as here, other.stream(listening({field: True})) as there:
        await acknowledged(here)
        await acknowledged(there)
        await wire.call("toggle", {"what": what})
        assert (await here.next())["method"] == (await there.next())["method"] == method


@pytest.mark.spec(OPENING)
@pytest.mark.parametrize("what", LISTS)
async def test_a_change_of_a_list_is_told_to_nobody_else(wire: Wire, what: str):
    others = {field: True for kind, (field, _) in LISTS.items() if kind != what}
    marked = {"resourceSubscriptions": ["spec://marker"]}
    async with (
        wire.stream(listening({LISTS[what][0]: True})) as concerned,
        wire.stream(listening({**others, **marked})) as unconcerned,
    ):
        await acknowledged(concerned)
        await acknowledged(unconcerned)
        await wire.call("toggle", {"what": what})
        await concerned.next(LISTS[what][1])
        assert await heard_until(wire, unconcerned, "spec://marker") == []


@pytest.mark.spec("server/tools#list-changed-notification")
@pytest.mark.parametrize(
    ("what", "method", "name"),
    [
        ("tool", "tools/list", "sometimes_there"),
        ("prompt", "prompts/list", "sometimes_asked"),
        ("resource", "resources/list", "sometimes_kept"),
    ],
)
async def test_who_is_told_of_a_change_finds_it(wire: Wire, other: Wire, what: str, method: str, name: str):
    field, notification = LISTS[what]
    async with other.stream(listening({field: True})) as stream:
        await acknowledged(stream)
        for _ in range(2):
            now = (await wire.call("toggle", {"what": what})).text
            await stream.next(notification)
            listed = {item["name"] for item in await other.items(method)}
            assert (name in listed) == (now == "offered")


# --- resources -----------------------------------------------------------------------------------------------------


@pytest.mark.spec(UPDATED)
@pytest.mark.parametrize("uri", ["spec://text", "spec://note/monday"])
async def test_a_change_of_a_resource_is_told_with_its_uri(wire: Wire, other: Wire, uri: str):
    async with other.stream(listening({"resourceSubscriptions": [uri]})) as stream:
        assert await acknowledged(stream) == {"resourceSubscriptions": [uri]}
        await wire.call("announce", {"uri": uri})
        message = await stream.next()
        assert message["method"] == "notifications/resources/updated"
        assert message["params"]["uri"] == uri


@pytest.mark.spec(OPENING)
async def test_changes_of_other_resources_are_not_told(wire: Wire):
    async with wire.stream(listening({"resourceSubscriptions": ["spec://note/monday"]})) as stream:
        await acknowledged(stream)
        for uri in ("spec://text", "spec://note/mondays", "spec://note/"):
            await wire.call("announce", {"uri": uri})
        assert await heard_until(wire, stream, "spec://note/monday") == []


@pytest.mark.spec(CONCURRENT)
async def test_subscriptions_at_the_same_time_are_told_apart(wire: Wire):
    wanted = {"resourceSubscriptions": ["spec://text"]}
    one, two = listening(wanted), listening(wanted)
    async with wire.stream(one) as first, wire.stream(two) as second:
        await acknowledged(first)
        await acknowledged(second)
        await wire.call("announce", {"uri": "spec://text"})
        for stream, request in ((first, one), (second, two)):
            params = (await stream.next())["params"]
            assert params["_meta"][SUBSCRIPTION_ID] == request.id


# --- what never comes here -----------------------------------------------------------------------------------------


@pytest.mark.spec("server/utilities/logging#per-request-log-level")
async def test_progress_and_log_lines_never_come_on_a_subscription(wire: Wire, notes: Notes):
    notes.leave("go")
    wanted = {"toolsListChanged": True, "resourceSubscriptions": ["spec://text"]}
    request = listening(wanted).meta("progressToken", "p").meta(MCP + "logLevel", "debug")
    async with wire.stream(request) as stream:
        await acknowledged(stream)
        call = calling("report", notes.directory).meta("progressToken", "p").meta(MCP + "logLevel", "debug")
        assert (await wire.send(call)).notifications
        assert await heard_until(wire, stream, "spec://text") == []


@pytest.mark.spec("basic/patterns/subscriptions#cancellation")
async def test_a_listener_that_hangs_up_is_no_harm(wire: Wire):
    for _ in range(3):
        async with wire.stream(listening({"toolsListChanged": True})) as stream:
            await acknowledged(stream)
    assert "hello" in json.dumps((await wire.call("succeed", {"text": "hello"})).result)
