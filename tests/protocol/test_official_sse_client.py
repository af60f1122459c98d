"""The official client over HTTP with SSE, through a balancer that gives each message to the next of two servers."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession
from mcp.client.session import ClientRequestContext
from mcp.client.sse import sse_client
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp_types import (
    CallToolResult,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestParams,
    ElicitResult,
    LoggingMessageNotificationParams,
    TextContent,
)

from tests.support.serving import serving
from tests.support.waiting import wait_until

TOOLS = "tests.protocol.spec.tools"
CAPABLE = "2025-11-25"

# Six processes have to start for the first test.
pytestmark = pytest.mark.timeout(150)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The `/sse` of the load balancer."""
    with (
        tempfile.TemporaryDirectory(prefix="tst-", dir="/tmp") as directory,
        serving(TOOLS, Path(directory), replicas=2) as endpoint,
    ):
        yield endpoint.removesuffix("/mcp") + "/sse"


@asynccontextmanager
async def connected(url: str, **callbacks: Any) -> AsyncGenerator[ClientSession]:
    async with (
        sse_client(url) as (reading, writing),
        ClientSession(reading, writing, **callbacks) as session,
    ):
        assert (await session.initialize()).protocol_version == CAPABLE
        yield session


def text_of(result: object) -> str:
    assert isinstance(result, CallToolResult)
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


async def test_tools_are_listed_and_called(url: str):
    async with connected(url) as session:
        assert "greet" in [tool.name for tool in (await session.list_tools()).tools]
        for number in range(10):
            result = await session.call_tool("greet", {"name": str(number)})
            assert text_of(result) == f"Hello, {number}!"
        await session.send_ping()


async def test_many_requests_at_a_time_get_their_own_answers(url: str):
    async with connected(url) as session:
        results = await asyncio.gather(
            *(session.call_tool("greet", {"name": str(number)}) for number in range(20))
        )
    assert [text_of(result) for result in results] == [f"Hello, {number}!" for number in range(20)]


async def test_progress_and_log_lines_are_told(url: str, tmp_path: Path):
    told: list[float] = []
    lines: list[str] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    async def on_line(params: LoggingMessageNotificationParams) -> None:
        lines.append(params.level)

    async with connected(url, logging_callback=on_line) as session:
        with pytest.warns(MCPDeprecationWarning):
            await session.set_logging_level("critical")  # pyright: ignore[reportDeprecated]
        calling = asyncio.create_task(
            session.call_tool("report", {"directory": str(tmp_path)}, progress_callback=on_progress)
        )
        await wait_until(lambda: len(lines) == 3, describing="the log lines")
        (tmp_path / "go").touch()
        assert text_of(await calling) == "reported"
    assert told == [1, 2, 3, 4]
    assert lines == ["critical", "alert", "emergency"]


async def test_the_person_and_the_model_are_asked(url: str):
    async def agree(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="accept", content={"name": "Ann", "ok": True})

    async def say(context: ClientRequestContext, params: CreateMessageRequestParams) -> CreateMessageResult:
        return CreateMessageResult(
            role="assistant", model="m", content=TextContent(type="text", text="Hello!")
        )

    async with connected(url, elicitation_callback=agree, sampling_callback=say) as session:
        assert text_of(await session.call_tool("ask_together")) == "Ann: True"
        assert text_of(await session.call_tool("sample")) == "Hello!"


async def test_a_large_result_arrives_whole(url: str):
    text = "x" * 100_000
    async with connected(url) as session:
        assert text_of(await session.call_tool("succeed", {"text": text})) == text


async def test_a_client_that_leaves_cancels_its_call(url: str, tmp_path: Path):
    async with connected(url) as session:
        calling = asyncio.create_task(session.call_tool("hold", {"directory": str(tmp_path)}))
        await wait_until((tmp_path / "started").exists, describing="the tool")
    await asyncio.gather(calling, return_exceptions=True)
    await wait_until((tmp_path / "stopped").exists, describing="the end of the tool")
