"""Run a tool in a process of its own: that process (`python -m workers.execution.child SOCKET WORKER_PID`).

The main thread belongs to plain tool functions, as native libraries expect; the event loop that speaks with
the worker, and that async tools run in, has a thread beside it.
"""

from __future__ import annotations

import asyncio
import faulthandler
import functools
import importlib
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from tasks_server.logs import configure_logging
from workers.definition import ATTRIBUTE, ToolDefinition
from workers.errors import ToolError
from workers.execution.calling import Surroundings
from workers.execution.frames import Frame, encoded, read_frame, receive_frame
from workers.execution.limits import OUT_OF_MEMORY, die_with_parent, limit_memory
from workers.execution.perform import call_here, reported
from workers.execution.remote_port import RemotePort, failed
from workers.execution.subreaper import CAN_SUBREAP, fork_below_subreaper
from workers.execution.work import Work
from workers.result import failure_text, tool_failure

logger = logging.getLogger(__name__)

Jobs = SimpleQueue[Callable[[], None] | None]


def main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    worker = int(sys.argv[2])
    die_with_parent(fork_below_subreaper(worker, connection.fileno()) if CAN_SUBREAP else worker)
    faulthandler.enable()
    order = receive_frame(connection)
    if order is None or "cancel" in order:
        return
    configure_logging(order["log_format"], "tool")
    try:
        _run(connection, order)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def _run(connection: socket.socket, order: Frame) -> None:
    _restore_environment(order)
    if order["memory_bytes"] is not None:
        limit_memory(order["memory_bytes"])
    work = Work.from_json(order["work"])
    try:
        definition = _load(order["module"], order["function"])
    except MemoryError:
        raise
    except BaseException as error:  # whatever the author's module does when it is imported
        connection.sendall(encoded({"done": {"value": _load_failure(order["module"], work, error)}}))
        os._exit(0)
    jobs: Jobs = SimpleQueue()
    conversation = functools.partial(_in_event_loop, connection, definition, work, jobs)
    threading.Thread(target=conversation, name="event loop", daemon=True).start()
    while (job := jobs.get()) is not None:
        job()
    sys.stdout.flush()
    sys.stderr.flush()
    # The worker has the result; what a library wants to do at exit may take long, or hang.
    os._exit(0)


def _restore_environment(order: Frame) -> None:
    """Our import path came by PYTHONPATH; programs that the tool starts should see the worker's own."""
    if order["python_path"] is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = order["python_path"]


def _load(module: str, function: str) -> ToolDefinition:
    found: Any = importlib.import_module(module)
    for name in function.split("."):
        found = getattr(found, name)
    return getattr(found, ATTRIBUTE)


def _load_failure(module: str, work: Work, error: BaseException) -> Frame:
    """The tool's result when its module, which the worker did import, cannot be imported any more."""
    logger.error(
        "task %s: importing %s for the tool %s failed", work.task_id, module, work.name, exc_info=error
    )
    return tool_failure(
        ToolError(
            f"The worker cannot load the module {module} any more: {failure_text(error)}. If it was edited "
            "while the worker ran, fix it and restart the worker."
        )
    )


def _in_event_loop(connection: socket.socket, definition: ToolDefinition, work: Work, jobs: Jobs) -> None:
    try:
        asyncio.run(_converse(connection, definition, work, jobs))
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    jobs.put(None)


async def _converse(connection: socket.socket, definition: ToolDefinition, work: Work, jobs: Jobs) -> None:
    reader, writer = await asyncio.open_connection(sock=connection)

    def send(frame: Frame) -> None:
        writer.write(encoded(frame))

    port = RemotePort(send)
    # The worker counts the grace, and kills.
    around = Surroundings(port, start=jobs.put, grace_seconds=None)
    run = asyncio.ensure_future(reported(definition, work, call_here(definition, work, around)))
    listener = asyncio.ensure_future(_listen(reader, port, run))
    await asyncio.wait({run})
    listener.cancel()
    send({"done": _outcome(run)})
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def _listen(reader: asyncio.StreamReader, port: RemotePort, run: asyncio.Future[Any]) -> None:
    while (frame := await read_frame(reader)) is not None:
        if "cancel" in frame:
            run.cancel()
        else:
            port.settle(frame)
    # The worker is gone: nobody wants this any more. A subreaper kills the rest when this process is dead.
    if CAN_SUBREAP:
        os.kill(os.getpid(), signal.SIGKILL)
    os.killpg(0, signal.SIGKILL)


def _outcome(run: asyncio.Future[Frame]) -> Frame:
    try:
        return {"value": run.result()}
    except (Exception, asyncio.CancelledError) as error:
        return failed(error)


if __name__ == "__main__":
    main()
