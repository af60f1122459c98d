"""What `dev` and `stdio` stand on: a data directory, a Valkey and a worker as supervised children of this process.

What production reads from its environment is put there. The worker loads its tools while this process loads the
server, and works as soon as it is let.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tasks_server.embedded.data_directory import DataDirectory
from tasks_server.embedded.shared_settings import SharedSettings, agreed
from tasks_server.embedded.valkey import EmbeddedValkey
from tasks_server.embedded.worker_process import WorkerProcess
from tasks_server.settings import Settings


@dataclass(frozen=True, slots=True)
class StackOptions:
    """file_roots and shutdown_grace_seconds: for an operator who has not set them."""

    data_directory: Path
    tools: Sequence[str]
    concurrency: int
    file_roots: Sequence[Path]
    shutdown_grace_seconds: float


@dataclass(frozen=True, slots=True)
class EmbeddedStack:
    """working ends only if the worker is refused, with its exit code."""

    data: DataDirectory
    shared: SharedSettings
    worker: WorkerProcess
    working: asyncio.Task[int]


@asynccontextmanager
async def embedded_stack(options: StackOptions, given: Settings) -> AsyncGenerator[EmbeddedStack]:
    """Keep everything running for as long as the block lasts. Raises ConfigurationError."""
    os.umask(0o077)
    data = DataDirectory(options.data_directory)
    defaults = {
        "secret_key": data.secret_key,
        "shutdown_grace_seconds": str(options.shutdown_grace_seconds),
    }
    _put_into_environment(defaults, given)
    async with AsyncExitStack() as stack:
        shared = stack.enter_context(agreed(data.path, given, data.shared_settings(options.file_roots)))
        os.environ.update(shared.environment())
        worker = WorkerProcess(options.tools, options.concurrency)
        valkey = None if shared.values["redis_url"] else EmbeddedValkey(data.valkey)
        if valkey is not None:
            os.environ["TASKS_REDIS_URL"] = valkey.url
        working = worker.start()
        stack.push_async_callback(worker.stop)
        if valkey is not None:
            await stack.enter_async_context(valkey.running())
            stack.push_async_callback(worker.stop)  # before Valkey: it takes its leave there
        yield EmbeddedStack(data, shared, worker, working)


def _put_into_environment(defaults: dict[str, str], given: Settings) -> None:
    """For this process and its worker, which inherits it; what the operator has set stays."""
    for field, value in defaults.items():
        if field not in given.model_fields_set:
            os.environ[f"TASKS_{field.upper()}"] = value
