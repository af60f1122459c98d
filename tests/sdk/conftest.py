"""A deployment of two servers and two workers, shared by all tests here, and what a client of it tells."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.stack import Stack, start_stack
from tests.sdk.agent import Agent
from tests.support.databases import SqliteDatabases


@pytest.fixture(scope="session")
def stack(sqlite_databases: SqliteDatabases) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="tst-", dir="/tmp") as name:
        directory = Path(name)
        stack = start_stack(directory, sqlite_databases.create(directory))
        asyncio.run(stack.work("tests.sdk.tools").line("offers"))
        yield stack
        stack.destroy()


@pytest.fixture
def notes(stack: Stack) -> Notes:
    return Notes(stack.new_directory())


@pytest.fixture
def agent(stack: Stack) -> Agent:
    return Agent(stack.url)
