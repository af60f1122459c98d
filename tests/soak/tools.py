"""The tools of the soak. Every effect goes into the ledger, so that what they say can be held against what they did."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time

from pydantic import BaseModel

from tests.soak import ledger
from tests.soak.ledger import Effect
from workers import Artifact, SyncTaskContext, TaskContext, ToolError, Transient, tool

TICK_SECONDS = 0.1
A_LONG_TIME_SECONDS = 3600


class Ran(BaseModel):
    """What a step returns: which attempt executed it."""

    attempt: int


class Person(BaseModel):
    name: str


class Built(BaseModel):
    """attempts: the attempt that executed each step."""

    token: str
    attempts: list[int]


class Filed(BaseModel):
    token: str
    file: Artifact


@tool(max_crashes=99)
async def echo(token: str) -> str:
    """Say it back at once."""
    return token


@tool(max_crashes=99)
async def build(ctx: TaskContext, token: str, steps: int, milliseconds: int) -> Built:
    """Take steps that must not be repeated."""
    attempts: list[int] = []
    for number in range(steps):
        attempts.append(await _step(ctx, f"step-{number}", milliseconds / 1000))
        await ctx.progress(number + 1, steps, f"step {number + 1}")
    return Built(token=token, attempts=attempts)


@tool(max_crashes=99, runs_in="process")
def crunch(ctx: SyncTaskContext, token: str, milliseconds: int) -> Built:
    """Take two steps in a process of its own."""
    attempts: list[int] = []
    for name in ("first", "second"):
        ran = ctx.step(name, _execute, ctx.task_id, name, ctx.attempt)
        ledger.write(Effect.KEPT, ctx.task_id, name, ctx.attempt, ran.attempt)
        attempts.append(ran.attempt)
        time.sleep(milliseconds / 1000)
    return Built(token=token, attempts=attempts)


@tool(max_crashes=99)
async def greet(ctx: TaskContext, token: str) -> str:
    """Ask for a name between two steps."""
    await _step(ctx, "before", 0)
    person = await ctx.ask(f"Who are you, {token}?", Person, key="name")
    await _step(ctx, "after", 0)
    return f"{token} {person.name}"


@tool(max_crashes=99)
async def stumble(ctx: TaskContext, token: str) -> str:
    """Fail, with an error that the caller reads."""
    await _step(ctx, "before", 0)
    raise ToolError(f"{token} stumbles")


@tool(max_crashes=99, retries=99, retry_delay="100ms")
async def waver(ctx: TaskContext, token: str, times: int) -> Built:
    """Fail for a passing reason so many times, each in a step of its own."""
    attempts: list[int] = []
    for number in range(times):
        attempts.append(await _step(ctx, f"step-{number}", 0))
        if attempts[-1] == ctx.attempt:
            raise Transient("Not yet")
    return Built(token=token, attempts=attempts)


@tool()
async def fragile(ctx: TaskContext, token: str, milliseconds: int) -> str:
    """Work for a while; what loses three workers is a dead letter."""
    await _step(ctx, "only", milliseconds / 1000)
    return token


@tool(max_crashes=99)
async def file_bytes(ctx: TaskContext, token: str, size: int) -> Filed:
    """Leave a file behind."""
    return Filed(token=token, file=await ctx.artifact("data.bin", bytes_of(token, size)))


@tool(max_crashes=99, timeout="2h")
async def linger(ctx: TaskContext, token: str) -> str:
    """Go on until cancelled."""
    deadline = time.monotonic() + A_LONG_TIME_SECONDS
    while time.monotonic() < deadline:
        ledger.write(Effect.TICKED, ctx.task_id, "tick", ctx.attempt)
        await asyncio.sleep(TICK_SECONDS)
    return token


@tool(max_crashes=99, timeout="2h", runs_in="process")
def linger_deaf(ctx: SyncTaskContext, token: str) -> str:
    """Go on in a process of its own that does not listen."""
    deadline = time.monotonic() + A_LONG_TIME_SECONDS
    while time.monotonic() < deadline:
        ledger.write(Effect.TICKED, ctx.task_id, "tick", ctx.attempt)
        time.sleep(TICK_SECONDS)
    return token


def bytes_of(token: str, size: int) -> bytes:
    """The content of a token's file: both sides can make it."""
    return random.Random(token).randbytes(size)


def checksum_of(token: str, size: int) -> str:
    return hashlib.sha256(bytes_of(token, size)).hexdigest()


async def _step(ctx: TaskContext, name: str, seconds: float) -> int:
    ran = await ctx.step(name, _execute_slowly, ctx.task_id, name, ctx.attempt, seconds)
    ledger.write(Effect.KEPT, ctx.task_id, name, ctx.attempt, ran.attempt)
    return ran.attempt


async def _execute_slowly(task_id: str, name: str, attempt: int, seconds: float) -> Ran:
    ran = _execute(task_id, name, attempt)
    await asyncio.sleep(seconds)
    return ran


def _execute(task_id: str, name: str, attempt: int) -> Ran:
    ledger.write(Effect.RAN, task_id, name, attempt)
    return Ran(attempt=attempt)
