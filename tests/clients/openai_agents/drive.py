"""openai-agents: its MCP servers, and the function tools it makes of them for an agent, without a model."""

from __future__ import annotations

import asyncio
import json
import sys

from agents import Agent, RunContextWrapper, set_tracing_disabled
from agents.mcp import MCPServer, MCPServerSse, MCPServerStreamableHttp, MCPUtil
from agents.tool_context import ToolContext
from checks import passes

URL = sys.argv[1]
set_tracing_disabled(True)


async def use(server: MCPServer) -> None:
    async with server:
        names = [tool.name for tool in await server.list_tools()]
        assert "count" in names
        counted = await server.call_tool("count", {"to": 5})
        assert json.loads(counted.content[0].text) == {"last": 5}
        failed = await server.call_tool("fail", {})
        assert failed.is_error
        assert failed.content[0].text == "This always fails"
        assert "last" in str(await through_an_agent(server))


async def through_an_agent(server: MCPServer) -> object:
    """The output of `count` as a model would get it."""
    agent = Agent(name="counter", mcp_servers=[server])
    tools = await MCPUtil.get_all_function_tools([server], False, RunContextWrapper(None), agent)
    (count,) = [tool for tool in tools if tool.name == "count"]
    arguments = json.dumps({"to": 3})
    context = ToolContext(None, tool_name="count", tool_call_id="1", tool_arguments=arguments)
    return await count.on_invoke_tool(context, arguments)


async def the_mcp_url() -> None:
    await use(MCPServerStreamableHttp({"url": URL}, client_session_timeout_seconds=20))


async def the_sse_url() -> None:
    url = URL.removesuffix("/mcp") + "/sse"
    await use(MCPServerSse({"url": url}, client_session_timeout_seconds=20))


asyncio.run(passes(the_mcp_url, the_sse_url))
