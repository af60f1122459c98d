"""The TaskPort across a process boundary: calls in one direction, replies in the other.

In the tool's process `RemotePort` sends `{"call": number, "verb": …, "arguments": …}`; in the worker
`PortServer` makes the call on the real port and answers `{"reply": number, …}`. Calls run side by side;
`{"give up": number}` cancels one that nobody waits for any more.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks_server.errors import RpcError
from workers.errors import ToolError, Transient
from workers.execution.frames import Frame
from workers.port import StoredArtifact, TaskPort

Send = Callable[[Frame], None]

_VERBS = frozenset(
    {
        "report_progress",
        "report_status",
        "log",
        "request_input",
        "recall",
        "remember",
        "save_artifact",
        "announce_resource",
        "publish_catalog",
    }
)


def failed(error: BaseException) -> Frame:
    """An exception in JSON; RpcError, Transient and ToolError stay what they are."""
    if isinstance(error, asyncio.CancelledError):
        return {"cancelled": True}
    if isinstance(error, RpcError):
        return {"rpc_error": error.as_object()}
    if isinstance(error, Transient):
        return {"transient": str(error), "retry_after": error.retry_after}
    if isinstance(error, ToolError):
        return {"tool_error": str(error)}
    return {"error": f"{type(error).__name__}: {error}"}


def outcome(frame: Frame) -> Any:
    """The value in a frame, or the exception that `failed` described."""
    if "cancelled" in frame:
        raise asyncio.CancelledError
    if "rpc_error" in frame:
        error = frame["rpc_error"]
        raise RpcError(error["code"], error["message"], error.get("data"))
    if "transient" in frame:
        raise Transient(frame["transient"], frame["retry_after"])
    if "tool_error" in frame:
        raise ToolError(frame["tool_error"])
    if "error" in frame:
        raise RuntimeError(frame["error"])
    return frame["value"]


class PortServer:
    """The worker's side: answers a subprocess's calls with the real port."""

    def __init__(self, port: TaskPort, send: Send) -> None:
        self._port = port
        self._send = send
        self._calls: dict[int, asyncio.Task[None]] = {}

    def accept(self, frame: Frame) -> None:
        if "give up" in frame:
            if (given_up := self._calls.get(frame["give up"])) is not None:
                given_up.cancel()
            return
        number: int = frame["call"]
        task = self._calls[number] = asyncio.ensure_future(self._answer(frame))
        task.add_done_callback(lambda _: self._calls.pop(number, None))

    async def close(self) -> None:
        """Give up the calls that are still open."""
        calls = tuple(self._calls.values())
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    async def _answer(self, frame: Frame) -> None:
        reply: Frame = {"reply": frame["call"]}
        try:
            reply["value"] = await self._carry_out(frame["verb"], frame["arguments"])
        except (Exception, asyncio.CancelledError) as error:
            reply |= failed(error)
        self._send(reply)

    async def _carry_out(self, verb: str, arguments: dict[str, Any]) -> Any:
        if verb not in _VERBS:
            raise ValueError(f"unknown verb {verb!r}")
        if verb == "save_artifact":
            arguments["source"] = Path(arguments["source"])
        value: Any = await getattr(self._port, verb)(**arguments)
        return dataclasses.asdict(value) if isinstance(value, StoredArtifact) else value


class RemotePort(TaskPort):
    """The tool's side."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Future[Frame]] = {}

    def settle(self, frame: Frame) -> None:
        """Hand a reply to the call that waits for it."""
        waiting = self._open.get(frame["reply"])
        if waiting is not None and not waiting.done():
            waiting.set_result(frame)

    async def report_progress(self, progress: float, total: float | None, message: str | None) -> None:
        await self._call("report_progress", progress=progress, total=total, message=message)

    async def report_status(self, message: str) -> None:
        await self._call("report_status", message=message)

    async def log(self, level: str, data: Any, logger: str | None) -> None:
        await self._call("log", level=level, data=data, logger=logger)

    async def request_input(
        self,
        key: str | None,
        method: str,
        params: dict[str, Any],
        within_ms: int | None = None,
        default: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        return await self._call(
            "request_input", key=key, method=method, params=params, within_ms=within_ms, default=default
        )

    async def recall(self, step: str) -> tuple[bool, Any]:
        known, value = await self._call("recall", step=step)
        return known, value

    async def remember(self, step: str, value: Any) -> None:
        await self._call("remember", step=step, value=value)

    async def save_artifact(self, name: str, source: Path, mime_type: str) -> StoredArtifact:
        path = str(source)
        return StoredArtifact(
            **await self._call("save_artifact", name=name, source=path, mime_type=mime_type)
        )

    async def announce_resource(self, uri: str) -> None:
        await self._call("announce_resource", uri=uri)

    async def publish_catalog(self) -> None:
        await self._call("publish_catalog")

    async def _call(self, verb: str, **arguments: Any) -> Any:
        number = next(self._numbers)
        reply: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._open[number] = reply
        try:
            self._send({"call": number, "verb": verb, "arguments": arguments})
            frame = await reply
        except asyncio.CancelledError:
            self._send({"give up": number})
            raise
        finally:
            del self._open[number]
        return outcome(frame)
