"""The official client as it comes against `tasks-server dev`; with the Tasks extension it is in tests/sdk."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from mcp import Client, MCPError
from mcp.client.session import ClientRequestContext
from mcp.client.subscriptions import ToolsListChanged
from mcp_types import (
    CallToolResult,
    ElicitRequestParams,
    ElicitResult,
    PromptReference,
    TextContent,
    TextResourceContents,
)

from tests.support.processes import ProcessStarter

ROOT = Path(__file__).resolve().parents[2]
INVALID_PARAMS = -32602


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    """The URL of a server that offers the conformance fixtures, shared by all tests here."""
    with tempfile.TemporaryDirectory(prefix="tst-", dir="/tmp") as directory:
        starter = ProcessStarter(Path(directory))
        options = ("--port", "0", "--data-dir", f"{directory}/data", "--tools", "tests.conformance.fixtures")
        server = starter.tasks_server("dev", *options, cwd=ROOT)
        try:
            yield asyncio.run(server.line(r"http://\S+/mcp\b"))[0]
            assert asyncio.run(server.stop()) == 0
        finally:
            starter.destroy()


async def agree(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    return ElicitResult(action="accept", content={"confirm": True, "name": "Alice", "ok": True})


def text_of(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


async def test_a_client_without_tasks_gets_progress_and_the_plain_result(url: str) -> None:
    reported: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        reported.append(progress)

    async with Client(url) as client:
        result = await client.call_tool("test_tool_with_progress", progress_callback=on_progress)
    assert text_of(result) == "Progress was reported."
    assert reported == sorted(reported)
    assert reported[-1] == 100


async def test_a_client_without_tasks_is_asked_by_another_round(url: str) -> None:
    async with Client(url, elicitation_callback=agree) as client:
        result = await client.call_tool("confirm_delete", {"filename": "old.txt"})
    assert text_of(result) == "Deleted old.txt"


async def test_prompts_resources_and_completions_are_served(url: str) -> None:
    async with Client(url) as client:
        prompt = await client.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
        read = await client.read_resource("test://template/17/data")
        completed = await client.complete(
            PromptReference(name="test_prompt_with_arguments"), {"name": "arg1", "value": "par"}
        )
        with pytest.raises(MCPError) as refused:
            await client.read_resource("test://nowhere")
    assert "arg1='a', arg2='b'" in str(prompt.messages[0].content)
    (contents,) = read.contents
    assert isinstance(contents, TextResourceContents)
    assert "17" in contents.text
    assert completed.completion.values == ["paris", "park", "party"]
    assert refused.value.code == INVALID_PARAMS


async def test_a_listener_is_told_that_the_tools_changed(url: str) -> None:
    async with Client(url) as client:
        async with client.listen(tools_list_changed=True) as subscription:
            await client.call_tool("test_trigger_tool_change")
            async with asyncio.timeout(5):
                assert await anext(subscription) == ToolsListChanged()
        names = [tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools]
    assert "test_sometimes_there" in names
