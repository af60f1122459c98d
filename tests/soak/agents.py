"""The clients of a soak: each does one errand after the other, from submitting to the end of the task."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

from tests.soak.memory import TERMINAL, Handle, Memory
from tests.soak.tools import checksum_of
from tests.soak.wire import GaveUp, Refused, Wire

POLL_SECONDS = 0.15
PATIENCE_SECONDS = 150.0
Errand = Callable[[], Coroutine[Any, Any, None]]


class Agent:
    """One client with a random generator of its own."""

    def __init__(self, number: int, wire: Wire, memory: Memory, choice: random.Random) -> None:
        self._number = number
        self._wire = wire
        self._memory = memory
        self._choice = choice
        self._calls = 0
        self._errands: dict[Errand, int] = {
            self._echo: 6,
            self._build: 6,
            self._crunch: 1,
            self._greet: 4,
            self._stumble: 2,
            self._waver: 2,
            self._fragile: 1,
            self._file: 2,
            self._linger: 3,
            self._remember: 4,
        }

    async def run(self, stopping: asyncio.Event) -> None:
        """Errand after errand until `stopping`; the one that was begun is brought to its end."""
        while not stopping.is_set():
            (errand,) = self._choice.choices(list(self._errands), list(self._errands.values()))
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await errand()
            except (Refused, GaveUp) as error:
                self._memory.complain(f"{type(error).__name__}: {error}")
            except TimeoutError:
                self._memory.complain(f"{errand.__name__} did not come to an end in {PATIENCE_SECONDS} s")

    # --- errands ---------------------------------------------------------------------------------------------

    async def _echo(self) -> None:
        await self._see_through(await self._submit("echo"))

    async def _build(self) -> None:
        steps, milliseconds = self._choice.randint(1, 6), self._choice.randint(5, 300)
        handle = await self._submit("build", steps=steps, milliseconds=milliseconds)
        if self._choice.random() < 0.15:
            await asyncio.sleep(self._choice.uniform(0, 1))
            await self._cancel(handle)
        await self._see_through(handle)

    async def _crunch(self) -> None:
        await self._see_through(await self._submit("crunch", milliseconds=self._choice.randint(10, 300)))

    async def _stumble(self) -> None:
        await self._see_through(await self._submit("stumble"))

    async def _waver(self) -> None:
        await self._see_through(await self._submit("waver", times=self._choice.randint(1, 3)))

    async def _fragile(self) -> None:
        milliseconds = self._choice.randint(100, 2000)
        await self._see_through(await self._submit("fragile", milliseconds=milliseconds))

    async def _greet(self) -> None:
        handle = await self._submit("greet")
        handle.name = f"name-{self._choice.randrange(10**6)}"
        # Sometimes later than a task waits for its answer without being parked.
        await self._see_through(handle, answer_after=self._choice.choice([0.0, 0.1, 1.5, 3.0]))

    async def _file(self) -> None:
        size = self._choice.choice([100, 10_000, 1_000_000])
        handle = await self._submit("file_bytes", size=size)
        await self._see_through(handle)
        await self._download(handle, size)

    async def _linger(self) -> None:
        tool = "linger_deaf" if self._choice.random() < 0.25 else "linger"
        handle = await self._submit(tool)
        await asyncio.sleep(self._choice.uniform(0, 4))
        await self._cancel(handle)
        await self._see_through(handle)

    async def _remember(self) -> None:
        """Look again at something that ended long ago."""
        if ended := [handle for handle in self._memory.handles.values() if handle.end is not None]:
            await self._get(self._choice.choice(ended))

    # --- what they are made of -------------------------------------------------------------------------------

    async def _submit(self, tool: str, **arguments: Any) -> Handle:
        """Call a tool; half of the calls carry a key, and some of these are sent twice at once."""
        self._calls += 1
        arguments["token"] = f"{tool}-{self._number}-{self._calls}"
        keyed = self._choice.random() < 0.5
        key = f"key-{arguments['token']}" if keyed else None
        if keyed and self._choice.random() < 0.3:
            self._memory.duplicates += 1
            first, _ = await asyncio.gather(
                self._call(tool, arguments, key), self._call(tool, arguments, key)
            )
            return first
        return await self._call(tool, arguments, key)

    async def _call(self, tool: str, arguments: dict[str, Any], key: str | None) -> Handle:
        self._memory.submissions += 1
        headers = {"Idempotency-Key": key} if key else None
        params = {"name": tool, "arguments": arguments}
        created = await self._wire.request("tools/call", tool, params, headers)
        return self._memory.given(Handle(created["taskId"], tool, arguments, key))

    async def _get(self, handle: Handle) -> dict[str, Any]:
        task = await self._wire.request("tasks/get", handle.task_id, {"taskId": handle.task_id})
        self._memory.shown(task, "poll")
        return task

    async def _cancel(self, handle: Handle) -> None:
        handle.cancel_asked = True
        await self._wire.request("tasks/cancel", handle.task_id, {"taskId": handle.task_id})

    async def _see_through(self, handle: Handle, *, answer_after: float = 0.0) -> None:
        """Follow a task to its end, by polling, by listening, or by one after the other; answer what it asks."""
        follow = self._choice.choice([self._poll, self._listen])
        async with aclosing(follow(handle)) as states:
            async for task in states:
                if task["status"] in TERMINAL:
                    break
                if task["status"] == "input_required":
                    await asyncio.sleep(answer_after)
                    await self._answer(handle, task)
        await self._get(handle)

    async def _answer(self, handle: Handle, task: dict[str, Any]) -> None:
        answer = {"action": "accept", "content": {"name": handle.name}}
        responses = dict.fromkeys(task["inputRequests"], answer)
        params = {"taskId": handle.task_id, "inputResponses": responses}
        await self._wire.request("tasks/update", handle.task_id, params)

    async def _poll(self, handle: Handle) -> AsyncGenerator[dict[str, Any]]:
        while True:
            if self._choice.random() < 0.5:
                self._wire.change_server()
            yield await self._get(handle)
            await asyncio.sleep(POLL_SECONDS)

    async def _listen(self, handle: Handle) -> AsyncGenerator[dict[str, Any]]:
        async with aclosing(self._wire.listen(handle.task_id)) as states:
            async for task in states:
                self._memory.shown(task, "listen")
                yield task

    async def _download(self, handle: Handle, size: int) -> None:
        """Fetch the file of a finished task and hold it against what was to be written."""
        path = f"/artifacts/{handle.task_id}/data.bin"
        content = await self._wire.download(path)
        if hashlib.sha256(content).hexdigest() != checksum_of(handle.token, size):
            self._memory.complain(
                f"the file has {len(content)} other bytes than were written", handle.task_id
            )
