"""Starts servers and workers in milliseconds: loads the product once, and forks a process for each.

Every child goes through the same `main` as the command, with arguments, environment, output, process group and
working directory of its own. It may be told to die at one instant, or to have another clock.
Run as `python -m tests.crashes.fork_server FD`, where FD is one end of a socket pair: a JSON object per line
comes in, a number goes out: the pid of the child, or what became of it.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import tasks_server.__main__
import workers.__main__
from tests.crashes import instants

# What a server, a worker and their tools would load when they start.
LOADED_FOR_ALL = (
    "tasks_server.app",
    "tasks_server.serve",
    "tasks_server.stdio.server",
    "tests.crashes.doomed",
)
PR_SET_PDEATHSIG = 1
STILL_RUNNING = 256


@dataclass(frozen=True, slots=True)
class Order:
    """What to start. clock_ahead_seconds: how much later it is for this process.

    pipes: paths of named pipes for its stdin and its stdout; then only stderr goes to the output.
    """

    command: list[str]
    environment: dict[str, str]
    directory: str
    output: str
    dies_at: str | None = None
    clock_ahead_seconds: float = 0.0
    pipes: tuple[str, str] | None = None


def main() -> None:
    for module in LOADED_FOR_ALL:
        importlib.import_module(module)
    with socket.socket(fileno=int(sys.argv[1])) as orders, orders.makefile("rw") as lines:
        for line in lines:
            lines.write(f"{answer(json.loads(line))}\n")
            lines.flush()


def answer(message: dict[str, Any]) -> int:
    """To an order the pid; to `{"status": pid}` the exit code (negative: a signal), or STILL_RUNNING."""
    if "status" in message:
        pid, status = os.waitpid(message["status"], os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else STILL_RUNNING
    pid = os.fork()
    if pid:
        return pid
    os.close(int(sys.argv[1]))
    return become(Order(**message))


def become(order: Order) -> NoReturn:
    """Be the process that was ordered; does not return."""
    code = 1
    try:
        os.setsid()
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with Path(order.output).open("wb") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        if order.pipes is not None:
            os.dup2(os.open(order.pipes[0], os.O_RDONLY), 0)
            os.dup2(os.open(order.pipes[1], os.O_WRONLY), 1)
        os.chdir(order.directory)
        os.environ.clear()
        os.environ.update(order.environment)
        if order.clock_ahead_seconds:
            turn_clock(order.clock_ahead_seconds)
        if order.dies_at:
            instants.die_at(order.dies_at)
        run(order.command)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(command: list[str]) -> None:
    """`tasks-server …`; a worker goes straight to what `tasks-server worker` would execute."""
    name, *options = command
    if name == "worker":
        sys.argv = ["workers", *options]
        workers.__main__.main()
    else:
        sys.argv = ["tasks-server", *command]
        tasks_server.__main__.main()


def turn_clock(ahead_seconds: float) -> None:
    """Let every module that asks for the time be told another one."""
    real = time.time

    def turned() -> float:
        return real() + ahead_seconds

    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()):
            if value is real:
                setattr(module, name, turned)


if __name__ == "__main__":
    main()
