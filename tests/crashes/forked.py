"""The tests' end of the fork server: orders processes from it, and asks what became of them."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.crashes.fork_server import STILL_RUNNING, Order
from tests.support.pipe import Pipe
from tests.support.processes import ProcessStarter, Started

ROOT = Path(__file__).parents[2]


class ForkServer:
    """One per session; ends with it, and all its children with it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TASKS_")}
        self._environment = {
            **inherited,
            "PYTHONWARNINGS": "error",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ROOT),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crashes.fork_server", str(theirs.fileno())],
            cwd=ROOT,
            env=self._environment,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        self._lines = ours.makefile("rw")
        ours.close()

    def start(
        self,
        command: list[str],
        environment: Mapping[str, str],
        directory: Path,
        output: Path,
        *,
        dies_at: str | None = None,
        clock_ahead_seconds: float = 0.0,
        pipes: tuple[str, str] | None = None,
    ) -> Started:
        """A process as the command would be. dies_at: the name of an instant. pipes: see Order."""
        order = Order(
            command,
            {**self._environment, "TMPDIR": str(directory), **environment},
            str(directory),
            str(output),
            dies_at,
            clock_ahead_seconds,
            pipes,
        )
        output.touch()
        return Started(Forked(self, self._ask(dataclasses.asdict(order))), output)

    def status(self, pid: int) -> int | None:
        code = self._ask({"status": pid})
        return None if code == STILL_RUNNING else code

    def close(self) -> None:
        self._lines.close()
        self._process.wait(10)

    def _ask(self, message: object) -> int:
        self._lines.write(json.dumps(message) + "\n")
        self._lines.flush()
        return int(self._lines.readline())


class Forked:
    """As much of a `subprocess.Popen` as `Started` needs, for a child of the fork server."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        self._server = server
        self._exit_code: int | None = None

    def poll(self) -> int | None:
        if self._exit_code is None:
            self._exit_code = self._server.status(self.pid)
        return self._exit_code

    def wait(self) -> int:
        while (code := self.poll()) is None:
            time.sleep(0.005)
        return code

    def send_signal(self, sig: int, /) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.Signals(sig))


class ForkingStarter(ProcessStarter):
    """For tests of what a command does, not of how it starts: forks `tasks-server`, starts other commands."""

    def __init__(self, directory: Path, forks: ForkServer) -> None:
        super().__init__(directory)
        self._forks = forks

    def tasks_server(
        self, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Started:
        if arguments[0] == "worker":  # whose command only reads settings, and becomes another program
            return super().tasks_server(*arguments, env=env, cwd=cwd)
        started = self._forks.start(
            list(arguments),
            {"TMPDIR": str(self.directory), **(env or {})},
            cwd or self.directory,
            self.directory / f"output-{len(self._started) + 1}.log",
        )
        self._started.append(started)
        return started

    def stdio(self, *arguments: str, env: Mapping[str, str] | None = None) -> Pipe:
        """`tasks-server stdio` with a pipe in each direction."""
        number = len(self._started) + 1
        pipes = (str(self.directory / f"stdin-{number}"), str(self.directory / f"stdout-{number}"))
        for path in pipes:
            os.mkfifo(path)
        # Both without waiting until somebody has the other end, which to write in one direction alone cannot.
        stdin, stdout = os.open(pipes[0], os.O_RDWR), os.open(pipes[1], os.O_RDONLY | os.O_NONBLOCK)
        started = self._forks.start(
            ["stdio", *arguments],
            {"TMPDIR": str(self.directory), **(env or {})},
            self.directory,
            self.directory / f"output-{number}.log",
            pipes=pipes,
        )
        self._started.append(started)
        return Pipe(started, os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb"))
