"""The test as a host: a process that speaks MCP over its stdin and stdout, which are pipes of ours."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from tests.support.processes import ProcessStarter, Started
from tests.support.waiting import wait_until

ANSWER_SECONDS = 30.0

Message = dict[str, Any]


class Pipe:
    """Everything that comes is read at once, unless the host is told not to. started: the process, with its stderr."""

    def __init__(self, started: Started, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self.started = started
        self._stdin, self._stdout = stdin, stdout
        self.batches: list[list[Message]] = []
        self._lines: list[bytes] = []
        self._messages: list[Message] = []
        self._may_read = threading.Event()
        self._may_read.set()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def messages(self) -> list[Message]:
        """What has come so far. Raises for a line that is no message of the protocol."""
        while len(self._messages) < len(self._lines):
            line = self._lines[len(self._messages)]
            try:
                message: Any = json.loads(line)
                if isinstance(message, list):
                    self.batches.append(cast("list[Message]", message))
                    message = {"jsonrpc": "2.0"}
                assert message["jsonrpc"] == "2.0"
            except (ValueError, TypeError, KeyError) as error:
                raise AssertionError(f"not a message of the protocol: {line[:500]!r}") from error
            self._messages.append(message)
        return self._messages

    def send(self, message: Message) -> None:
        self.write(json.dumps(message).encode() + b"\n")

    def write(self, content: bytes) -> None:
        self._stdin.write(content)
        self._stdin.flush()

    def would_block(self) -> bool:
        """Whether the process does not read what is sent to it."""
        return not select.select([], [self._stdin], [], 0)[1]

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": dict(params)})

    def cancel(self, request_id: Any) -> None:
        self.notify("notifications/cancelled", {"requestId": request_id})

    async def answer(self, message: Message) -> Message:
        """Send a request; its response."""
        self.send(message)
        return await self.response(message["id"])

    async def response(self, request_id: Any) -> Message:
        return await self.message(
            lambda found: "method" not in found and same(found.get("id"), request_id),
            f"the response to {request_id!r}",
        )

    async def message(self, wanted: Callable[[Message], object], describing: str) -> Message:
        """Wait for a message that has not come before the first one."""

        def look() -> Message | None:
            found = next(filter(wanted, self.messages), None)
            assert found or self.started.exit_code is None, f"{describing}: ended\n{self.started.output}"
            return found

        return await wait_until(look, ANSWER_SECONDS, describing=describing) or {}

    def stop_reading(self) -> None:
        """Leave what the process writes in the pipe. What is being read already still comes."""
        self._may_read.clear()

    def read_on(self) -> None:
        self._may_read.set()

    def close(self) -> None:
        """Close the stdin of the process."""
        with suppress(BrokenPipeError):
            self._stdin.close()

    def _read(self) -> None:
        with self._stdout:
            rest = b""
            while chunk := self._chunk():
                *lines, rest = (rest + chunk).split(b"\n")
                self._lines.extend(lines)
                self._may_read.wait()
            if rest:
                self._lines.append(rest)
        self.close()

    def _chunk(self) -> bytes:
        readable = select.poll()
        readable.register(self._stdout, select.POLLIN)
        readable.poll()
        return os.read(self._stdout.fileno(), 65536)


def start_stdio(
    starter: ProcessStarter, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Pipe:
    """`tasks-server stdio`, by its module, with the Python of the tests."""
    command = (sys.executable, "-m", "tasks_server", "stdio", *arguments)
    process, started = starter.begin(command, env, cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    return Pipe(started, process.stdin, process.stdout)


def same(one: Any, other: Any) -> bool:
    """Equal, and of one type: 1 is not true, and not 1.0."""
    return (one, type(one)) == (other, type(other))
