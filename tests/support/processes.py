"""Starting the product as real processes, and ending exactly those."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import psutil

from tests.support.descent import descendants
from tests.support.waiting import wait_until

START_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 15.0
# Longer than the product's own processes take to end what a dead worker has left.
SURVIVES_SECONDS = 5.0


class Process(Protocol):
    """What is needed of a `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...


class Started:
    """One process that a test has started, in a process group of its own, with its output in a file."""

    def __init__(self, process: Process, output: Path) -> None:
        self.process = process
        self.output_file = output
        self._descendants: dict[int, psutil.Process] = {}

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        """Everything it has written to stdout and stderr so far."""
        return self.output_file.read_text(errors="replace")

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self.process.poll()

    def descendants(self) -> list[psutil.Process]:
        """Its children, their children and so on, as they are now; remembered for the end of the test."""
        for child in descendants(self.pid):
            self._descendants[child.pid] = child
        return [child for child in self._descendants.values() if _lives(child)]

    async def line(self, pattern: str, timeout_seconds: float = START_TIMEOUT_SECONDS) -> re.Match[str]:
        """Wait until its output matches the regular expression; return the match."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.output)
            if found is None and self.exit_code is not None:
                found = re.search(pattern, self.output)
                assert found, f"ended with {self.exit_code} before it wrote {pattern!r}:\n{self.output}"
            return found

        try:
            found = await wait_until(look, timeout_seconds, describing=f"a line like {pattern!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- output ---\n{self.output}") from None
        assert found
        self.descendants()
        return found

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, not to its group."""
        self.descendants()
        self.process.send_signal(number)

    async def ended(self, timeout_seconds: float = STOP_TIMEOUT_SECONDS) -> int:
        """Wait for its end; return the exit code."""
        try:
            await wait_until(
                lambda: self.exit_code is not None, timeout_seconds, describing=f"the end of {self.pid}"
            )
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- output ---\n{self.output}") from None
        return self.process.wait()

    async def stop(
        self, number: signal.Signals = signal.SIGTERM, timeout_seconds: float = STOP_TIMEOUT_SECONDS
    ) -> int:
        """Signal it and wait for its end; return the exit code."""
        self.send(number)
        return await self.ended(timeout_seconds)

    def destroy(self) -> list[str]:
        """Kill whatever is left of it; return the command lines of the descendants that had outlived it."""
        left = [] if self.exit_code is None else [_command_line(child) for child in self._survivors()]
        self.descendants()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        for child in self._descendants.values():
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self.process.wait()
        return left

    def _survivors(self) -> list[psutil.Process]:
        """The descendants that do not end by themselves. Those that tidy up after it may take their time for it."""
        until = time.monotonic() + SURVIVES_SECONDS
        while (left := self.descendants()) and time.monotonic() < until:
            time.sleep(0.02)
        return left


class ProcessStarter:
    """Starts `tasks-server …` and other commands in a new directory, without inherited TASKS_ settings."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._started: list[Started] = []

    def start(self, *command: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Started:
        """Start a command; `env` is added to the environment of the tests."""
        return self.begin(command, env, cwd, stdin=subprocess.DEVNULL, stdout=None)[1]

    def begin(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None,
        cwd: Path | None,
        *,
        stdin: int,
        stdout: int | None,
    ) -> tuple[subprocess.Popen[bytes], Started]:
        """Start a command with these as its stdin and stdout; None: stdout goes where stderr does, into a file."""
        output = self.directory / f"output-{len(self._started) + 1}.log"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TASKS_")}
        # With temporary files of its own, nobody tidies up after the processes of another test.
        settings = {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "error", "TMPDIR": str(self.directory)}
        with output.open("wb") as sink:
            process = subprocess.Popen(
                command,
                cwd=cwd or self.directory,
                env={**inherited, **settings, **(env or {})},
                stdin=stdin,
                stdout=sink if stdout is None else stdout,
                stderr=sink,
                start_new_session=True,
            )
        started = Started(process, output)
        self._started.append(started)
        return process, started

    def tasks_server(
        self, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Started:
        """Start the console script, by its module, with the Python of the tests."""
        return self.start(sys.executable, "-m", "tasks_server", *arguments, env=env, cwd=cwd)

    def destroy(self) -> None:
        """End everything that was started and still runs."""
        for started in reversed(self._started):
            started.destroy()


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie, which only waits to be reaped, does not)."""
    with suppress(psutil.NoSuchProcess):
        return _lives(psutil.Process(pid))
    return False


def _command_line(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return f"pid {process.pid}"


async def all_gone(pids: list[int], timeout_seconds: float = 10.0) -> None:
    """Wait until none of the processes runs any more."""

    def nobody() -> bool:
        return not any(is_alive(pid) for pid in pids)

    await wait_until(nobody, timeout_seconds, describing=f"the end of all of {pids}")


async def free_port() -> int:
    """A port that nobody listened on a moment ago; prefer port 0 wherever the product offers it."""
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


@contextmanager
def silent_port() -> Generator[socket.socket]:
    """A port that refuses connections and that nobody else gets; it may still be listened on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held
