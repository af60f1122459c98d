"""The whole stack around a test: servers on real sockets and a worker, in this process, on real databases."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import httpx2
import pytest
from sse_starlette.sse import AppStatus

from tasks_server.app import build_app
from tasks_server.serve import HttpServer, listen, url_of
from tasks_server.settings import Settings
from tests.protocol import offers
from tests.protocol.client import Client
from tests.support.waiting import wait_until
from workers.registry import Registry
from workers.worker import run_worker

T = TypeVar("T")
ServerStarter = Callable[[], AbstractAsyncContextManager[str]]
WorkerStarter = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture
def settings(sqlite_url: str, redis_url: str, tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {
            "database_url": sqlite_url,
            "redis_url": redis_url,
            "secret_key": "a key that all replicas of this test share",
            "artifact_dir": tmp_path / "artifacts",
            "max_request_bytes": 100_000,
            "park_after_seconds": 0.2,
        }
    )


@pytest.fixture
def start_server(settings: Settings) -> ServerStarter:
    """Starts servers of one deployment, each on a port of its own; yields the URL."""

    @asynccontextmanager
    async def started() -> AsyncGenerator[str]:
        listener = listen("127.0.0.1", 0)
        app = build_app(settings)
        async with app.router.lifespan_context(app):
            server = HttpServer(app, listener)
            serving = asyncio.create_task(server.run_until_stopped())
            try:
                await wait_until(lambda: server.started, describing="the server listens")
                yield url_of(listener)
            finally:
                server.stop()
                await serving
                AppStatus.should_exit = False  # or no stream of any later server would live

    return started


@pytest.fixture
def start_worker(settings: Settings) -> WorkerStarter:
    """Starts workers that offer `tests.protocol.offers`."""

    @asynccontextmanager
    async def started() -> AsyncGenerator[None]:
        registry = Registry()
        for function in offers.OFFERED:
            registry.add(function)
        working = asyncio.create_task(run_worker(settings, registry))
        try:
            yield
        finally:
            offers.board.set("go on")
            signal.raise_signal(signal.SIGTERM)  # the worker's way to end in order
            await working

    return started


@pytest.fixture
async def client(start_server: ServerStarter, start_worker: WorkerStarter) -> AsyncIterator[Client]:
    """A client of a server whose one worker is ready."""

    @asynccontextmanager
    async def stack() -> AsyncGenerator[Client]:
        async with start_server() as url, start_worker(), httpx2.AsyncClient(timeout=20) as http:
            await wait_until(lambda: is_served(http, url), describing="the server knows its worker")
            yield Client(http, url)

    offers.reset()
    async with kept_in_a_task(stack()) as client:
        yield client


async def is_served(http: httpx2.AsyncClient, url: str) -> bool:
    return (await http.get(url + "/readyz")).json()["workers"]


@asynccontextmanager
async def kept_in_a_task(context: AbstractAsyncContextManager[T]) -> AsyncGenerator[T]:
    """Enter and leave `context` in one task, as anyio demands; fixtures are set up and torn down in two."""
    entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    left = asyncio.Event()

    async def keep() -> None:
        async with context as value:
            entered.set_result(value)
            await left.wait()

    keeping = asyncio.create_task(keep())
    await asyncio.wait([keeping, entered], return_when=asyncio.FIRST_COMPLETED)
    if keeping.done():
        keeping.result()
    yield entered.result()
    left.set()
    await keeping
