"""A client for each test, which runs once for each kind of database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx2
import pytest

from tests.protocol.official import check_notification
from tests.protocol.spec.requests import Request
from tests.protocol.spec.stack import Stack
from tests.protocol.spec.wire import Wire
from tests.support.pipe import Pipe


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest) -> str:
    """Every test here runs once for each kind of database, unless it is marked ON_ONE_DATABASE."""
    kind: str = request.param
    return kind


@pytest.fixture
def stack(request: pytest.FixtureRequest, database: str) -> Stack:
    """The running deployment."""
    running: Stack = request.getfixturevalue(f"{database}_stack")
    return running


@pytest.fixture
def wire(stack: Stack, http: httpx2.AsyncClient) -> Wire:
    """A client of the first server."""
    return Wire(http, stack.url)


@pytest.fixture
def other(stack: Stack, http: httpx2.AsyncClient) -> Wire:
    """The same client, talking to the second server."""
    return Wire(http, stack.other_url)


@pytest.fixture(scope="session")
def shared_pipes() -> dict[str, Pipe]:
    return {}


@pytest.fixture
def pipe(stack: Stack, database: str, shared_pipes: dict[str, Pipe]) -> Iterator[Pipe]:
    """A server at the other end of a pipe, shared by all tests here. What it writes must all be protocol."""
    if database not in shared_pipes:
        shared_pipes[database] = stack.pipe()
        asyncio.run(shared_pipes[database].answer(Request.of("tools/list").body))
    yield shared_pipes[database]
    for message in shared_pipes[database].messages:
        if "method" in message:
            check_notification(message)


@pytest.fixture
async def impatient(stack: Stack, http: httpx2.AsyncClient) -> Wire:
    """The same client, talking to a server that answers calls which take long with their task."""
    return Wire(http, await stack.impatient_url())
