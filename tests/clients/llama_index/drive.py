"""llama-index-tools-mcp: functions of an agent, over /mcp and over the /sse of 2024-11-05."""

from __future__ import annotations

import asyncio
import sys

from checks import passes
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec

URL = sys.argv[1]


async def use(url: str) -> None:
    progress: list[float] = []

    async def report(done: float, total: float | None, message: str | None) -> None:
        progress.append(done)

    client = BasicMCPClient(url)
    functions = {
        function.metadata.name: function for function in await McpToolSpec(client).to_tool_list_async()
    }
    output = (await functions["count"].acall(to=3)).raw_output
    assert '"last":3' in output.content[0].text.replace(" ", "")
    counted = await client.call_tool("count", {"to": 5}, progress_callback=report)
    assert not counted.is_error
    assert progress == [1, 2, 3, 4, 5]
    failed = (await functions["fail"].acall()).raw_output
    assert failed.is_error
    assert failed.content[0].text == "This always fails"


async def the_mcp_url() -> None:
    await use(URL)


async def the_sse_url() -> None:
    await use(URL.removesuffix("/mcp") + "/sse")


asyncio.run(passes(the_mcp_url, the_sse_url))
