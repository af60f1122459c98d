"""Tools for `test_process.py`; a new process imports this module."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel

from workers import (
    Artifact,
    AskFirst,
    RpcError,
    SyncTaskContext,
    TaskCancelled,
    TaskContext,
    ToolError,
    Transient,
    tool,
)


class Confirm(BaseModel):
    confirm: bool


class Converted(BaseModel):
    pages: int
    markdown: Artifact


def asked() -> bool:
    return True


def count(source: str) -> int:
    return len(source)


@tool(runs_in="process", memory="1GiB")
def convert(ctx: SyncTaskContext, source: str) -> Converted:
    """Uses every verb that crosses the pipe."""
    pages = ctx.step("count", count, source)
    ctx.progress(1, pages, "begun")
    ctx.status("converting")
    ctx.log("info", {"source": source})
    ctx.announce_resource("note://x")
    ctx.publish_catalog()
    answer = ctx.ask("Go on?", Confirm, key="go")
    return Converted(pages=pages, markdown=ctx.artifact("a.md", f"{answer.confirm}"))


@tool(runs_in="process")
async def convert_asynchronously(ctx: TaskContext, sure: Annotated[Confirm, AskFirst("Sure?")]) -> str:
    """Asks two questions at once."""
    first, second = await asyncio.gather(
        ctx.ask("First?", Confirm, key="first"), ctx.ask("Second?", Confirm, key="second")
    )
    return f"{sure.confirm} {first.confirm} {second.confirm}"


@tool(runs_in="process")
async def ask_briefly(ctx: TaskContext) -> str:
    """Gives up its question, and works on."""
    asking = asyncio.create_task(
        ctx.ask("Go on?", Confirm, key="go", within="2d", default=Confirm(confirm=True))
    )
    await ctx.step("asked", asked)  # it goes the same way as the question, so that is under way by now
    asking.cancel()
    await asyncio.wait([asking])
    await ctx.status("gave up")
    return "done"


@tool(runs_in="process")
def describe(ctx: SyncTaskContext) -> dict[str, str | bool | int]:
    """Where it runs."""
    sys.stdout.write("printed by the tool\n")
    logging.getLogger("tool").info("logged by the tool")
    scratch = Path(tempfile.mkdtemp())
    (scratch / "left").write_text("x")
    return {
        "pid": os.getpid(),
        "group": os.getpgid(0),
        "parent": os.getppid(),
        "main_thread": threading.current_thread() is threading.main_thread(),
        "attempt": ctx.attempt,
        "scratch": str(scratch),
        "python_path": os.environ.get("PYTHONPATH", "unset"),
    }


@tool(runs_in="process", memory="256MiB")
def hoard(at_once: bool) -> str:
    """Needs more memory than it may have."""
    if at_once:
        return str(len(bytearray(2**30)))
    pieces: list[bytes] = []
    while True:
        pieces.append(bytes(2**16))


@tool(runs_in="process", memory="256MiB")
async def hoard_asynchronously() -> str:
    """Needs more memory than it may have."""
    pieces: list[bytes] = []
    while True:
        pieces.append(bytes(2**16))


@tool(runs_in="process", memory="256MiB")
def abort() -> str:
    """Ends like a library that cannot allocate."""
    os.abort()


@tool(runs_in="process")
def die(how: str) -> str:
    """Ends without a result."""
    match how:
        case "exit":
            os._exit(7)
        case "segfault":
            ctypes.string_at(0)
        case "rpc error":
            raise RpcError(-32050, "refused", {"why": how})
        case "surprise":
            raise ValueError(how)
        case "tool error":
            raise ToolError("read this")
        case _:
            os.kill(os.getpid(), signal.SIGKILL)
    return ""


@tool(runs_in="process")
def leave_behind(ctx: SyncTaskContext) -> str:
    """Returns while a program it started still runs."""
    process = subprocess.Popen(["sleep", "60"])
    ctx.status(str(process.pid))
    process.returncode = 0  # nobody waits for it
    return "done"


@tool(runs_in="process")
def wait_obediently(ctx: SyncTaskContext) -> str:
    """Stops when it is told to."""
    told = threading.Event()
    ctx.on_cancel(told.set)
    try:
        ctx.status(str(os.getpid()))
        told.wait(30)
        ctx.progress(1)
    except TaskCancelled:
        Path(os.environ["LEFT_BY"]).write_text(f"cancelled={ctx.cancelled}")
        raise
    return "was not stopped"


@tool(runs_in="process")
def wait_for_answer(ctx: SyncTaskContext) -> str:
    """Is asking when it is stopped."""
    ctx.status(str(os.getpid()))
    return str(ctx.ask("Sure?", Confirm, key="sure"))


def tell_stubbornly(ctx: SyncTaskContext, status: str) -> None:
    """Who reads it may cancel the run before this call has heard that it was read, which ends the call."""
    with suppress(TaskCancelled):
        ctx.status(status)


@tool(runs_in="process")
def wait_stubbornly(ctx: SyncTaskContext, deaf: bool) -> str:
    """Never looks at its context again, and has a program running."""
    if deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    process = subprocess.Popen(["sleep", "60"])
    tell_stubbornly(ctx, f"{os.getpid()} {process.pid}")
    while True:
        time.sleep(0.01)


@tool(runs_in="process")
def hold_a_copy(ctx: SyncTaskContext) -> None:
    """Keeps a temporary file until it is stopped."""
    copy = Path(tempfile.mkdtemp()) / "source.csv"
    copy.write_text("a private copy")
    tell_stubbornly(ctx, str(copy))
    while True:
        time.sleep(0.01)


@tool(runs_in="process", retry_on=(ConnectionError,))
def stumble(how: str) -> str:
    """Fails for a reason that may pass."""
    if how == "raised":
        raise Transient("The archive is busy.", retry_after="30s")
    raise ConnectionResetError("reset by peer")


@tool(runs_in="process")
def let_go(ctx: SyncTaskContext, how: str) -> str:
    """Starts a daemon, forked twice, and a program in a session of its own; both ignore SIGTERM."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if (daemon := os.fork()) != 0:
            os.write(writing, str(daemon).encode())
            os._exit(0)
        os.execvp("sh", ["sh", "-c", "trap '' TERM; sleep 60 & wait; sleep 60"])
    os.wait()
    daemon = int(os.read(reading, 20))
    session = subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 60"], start_new_session=True)
    tell_stubbornly(ctx, f"{daemon} {session.pid}")
    session.returncode = 0  # nobody waits for it
    match how:
        case "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        case "is cancelled":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                time.sleep(0.01)
        case _:
            pass
    return how
