"""A client that submits tasks, looks at them, listens, answers and cancels: plain HTTP, one message at a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from tests.crashes.session_client import Told
from tests.support.mcp_messages import INTERNAL_ERROR, META, request
from tests.support.waiting import wait_until

ACCEPTED: dict[str, Any] = {"action": "accept", "content": {}}
ENDS = {"completed", "failed", "cancelled"}
END_SECONDS = 40
PAUSE_SECONDS = 0.1


class Client:
    """Declares tasks on every request. url is the server's, without `/mcp`.

    patient: tries again what the server could not do for now, until it can.
    """

    def __init__(self, http: httpx2.AsyncClient, url: str, *, patient: bool = False) -> None:
        self._http = http
        self.url = url
        self.patient = patient

    async def submit(self, tool: str, **arguments: Any) -> str:
        """Call a tool; the id of its task."""
        result = await self._request("tools/call", {"name": tool, "arguments": arguments}, name=tool)
        return result["taskId"]

    async def task(self, task_id: str) -> dict[str, Any]:
        return await self._request("tasks/get", {"taskId": task_id}, name=task_id)

    async def status(self, task_id: str) -> str:
        return (await self.task(task_id))["status"]

    async def ended(self, task_id: str) -> dict[str, Any]:
        """The task once it has come to an end, good or bad."""

        async def look() -> dict[str, Any] | None:
            task = await self.task(task_id)
            return task if task["status"] in ENDS else None

        task = await wait_until(look, END_SECONDS, describing=f"the end of task {task_id}", every=0.05)
        assert task is not None
        return task

    async def completed(self, task_id: str) -> None:
        """Wait for the task's good end: a tool that failed has completed too, with an error for its result."""
        task = await self.ended(task_id)
        assert task["status"] == "completed", task
        assert not task["result"]["isError"], task

    async def accept(self, task_id: str) -> None:
        """Agree to whatever the task asks."""
        questions = (await self.task(task_id)).get("inputRequests", {})
        answers = dict.fromkeys(questions, ACCEPTED)
        await self._request("tasks/update", {"taskId": task_id, "inputResponses": answers}, name=task_id)

    async def cancel(self, task_id: str) -> None:
        await self._request("tasks/cancel", {"taskId": task_id}, name=task_id)

    async def tools(self) -> list[str]:
        return [tool["name"] for tool in (await self._request("tools/list", {}, name=None))["tools"]]

    async def offers(self, *tools: str) -> None:
        """Wait until the server knows these tools."""

        async def knows() -> bool:
            return set(tools) <= set(await self.tools())

        await wait_until(knows, 20, describing=f"the server offers {tools}")

    async def has_workers(self) -> bool:
        return await self.sees("workers")

    async def sees(self, part: str) -> bool:
        """Whether the server finds this part of the deployment there: `database`, `redis`, `workers`."""
        return (await self._http.get(f"{self.url}/readyz")).json()[part]

    async def misses(self, part: str) -> None:
        """Wait until the server has noticed that a part is away."""

        async def is_missed() -> bool:
            return not await self.sees(part)

        await wait_until(is_missed, 30, describing=f"the server misses {part}", every=0.05)

    @asynccontextmanager
    async def attached(self, tool: str, **arguments: Any) -> AsyncGenerator[Told]:
        """A call by a host that knows no tasks and wants progress: the stream that answers it."""
        sent = request("tools/call", tool, {"name": tool, "arguments": arguments})
        unaware: dict[str, Any] = {"io.modelcontextprotocol/clientCapabilities": {}, "progressToken": tool}
        sent["json"]["params"]["_meta"] = META | unaware
        async with self._http.stream("POST", f"{self.url}/mcp", **sent) as response:
            yield Told(response.aiter_bytes())

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        """Holds an event stream open that the server has acknowledged."""
        params = {"notifications": {"toolsListChanged": True}}
        sent = request("subscriptions/listen", None, params)
        async with self._http.stream("POST", f"{self.url}/mcp", **sent) as response:
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    break
            yield

    async def told_of_end(self, *task_ids: str) -> dict[str, str]:
        """Listen, and listen again when the stream breaks off, until all of these tasks have ended; how each did."""
        ends: dict[str, str] = {}
        params = {"notifications": {"taskIds": list(task_ids)}}
        while len(ends) < len(task_ids):
            sent = request("subscriptions/listen", None, params)
            async with self._http.stream("POST", f"{self.url}/mcp", **sent) as response:
                async for line in response.aiter_lines():
                    task = _task_in(line)
                    if task and task["status"] in ENDS:
                        ends[task["taskId"]] = task["status"]
                        if len(ends) == len(task_ids):
                            break
            await asyncio.sleep(PAUSE_SECONDS)
        return ends

    async def _request(self, method: str, params: dict[str, Any], *, name: str | None) -> dict[str, Any]:
        message = await self._answer(method, params, name)
        while self.patient and message.get("error", {}).get("code") == INTERNAL_ERROR:
            await asyncio.sleep(PAUSE_SECONDS)
            message = await self._answer(method, params, name)
        assert "result" in message, message
        return message["result"]

    async def _answer(self, method: str, params: dict[str, Any], name: str | None) -> dict[str, Any]:
        response = await self._http.post(f"{self.url}/mcp", **request(method, name, params))
        message: dict[str, Any] = response.json()
        return message


def _task_in(line: str) -> dict[str, Any] | None:
    if not line.startswith("data:"):
        return None
    message = json.loads(line.removeprefix("data:"))
    return message["params"] if message.get("method") == "notifications/tasks" else None
