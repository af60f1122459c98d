"""langchain-mcp-adapters: tools of an agent, over /mcp and over the /sse of 2024-11-05."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from checks import passes
from langchain_core.tools import BaseTool
from langchain_mcp_adapters.callbacks import CallbackContext, Callbacks
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from mcp.types import ElicitRequestParams, ElicitResult

URL = sys.argv[1]
CONNECTIONS = {
    "http": {"transport": "streamable_http", "url": URL},
    "sse": {"transport": "sse", "url": URL.removesuffix("/mcp") + "/sse"},
}


async def agree(_mcp: Any, params: ElicitRequestParams, _context: CallbackContext) -> ElicitResult:
    assert params.message == "Reserve 2 seats?"
    return ElicitResult(action="accept", content={"agreed": True})


class Heard:
    """The progress that came with a call."""

    def __init__(self) -> None:
        self.progress: list[float] = []

    async def report(self, done: float, total: float | None, message: str | None, _: CallbackContext) -> None:
        self.progress.append(done)

    def callbacks(self) -> Callbacks:
        return Callbacks(on_progress=self.report, on_elicitation=agree)


async def invoked(tool: BaseTool, **arguments: Any) -> Any:
    """What an agent gets to see of a call."""
    call = {"name": tool.name, "args": arguments, "id": "1", "type": "tool_call"}
    return await tool.ainvoke(call)


async def a_session_for_each_call() -> None:
    heard = Heard()
    client = MultiServerMCPClient({"tasks": CONNECTIONS["http"]}, callbacks=heard.callbacks())
    tools = {tool.name: tool for tool in await client.get_tools()}
    message = await invoked(tools["count"], to=5)
    assert message.artifact == {"structured_content": {"last": 5}}
    assert heard.progress == [1, 2, 3, 4, 5]
    assert (await invoked(tools["reserve"], seats=2)).content[0]["text"] == "Reserved 2 seats"
    failed = await invoked(tools["fail"])
    assert failed.status == "error"
    assert failed.content[0]["text"] == "This always fails"


async def use_one_session(transport: str) -> None:
    heard = Heard()
    callbacks = heard.callbacks()
    client = MultiServerMCPClient({"tasks": CONNECTIONS[transport]}, callbacks=callbacks)
    async with client.session("tasks") as session:
        tools = {tool.name: tool for tool in await load_mcp_tools(session, callbacks=callbacks)}
        assert "last" in str((await invoked(tools["count"], to=5)).content)
        assert heard.progress == [1, 2, 3, 4, 5]
        assert (await invoked(tools["fail"])).status == "error"


async def one_session_over_http() -> None:
    await use_one_session("http")


async def one_session_over_sse() -> None:
    await use_one_session("sse")


asyncio.run(passes(a_session_for_each_call, one_session_over_http, one_session_over_sse))
