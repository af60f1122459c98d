"""A running deployment per kind of database, shared by all tests of the protocol, and what they need beside it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.protocol.spec.notes import Notes
from tests.protocol.spec.stack import Stack, start_stack
from tests.protocol.spec.wire import TIMEOUT_SECONDS
from tests.support.databases import PostgresDatabases, SqliteDatabases


@pytest.fixture(scope="session")
def sqlite_stack(sqlite_databases: SqliteDatabases) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="tst-", dir="/tmp") as directory:
        stack = start_stack(Path(directory), sqlite_databases.create(Path(directory)))
        yield stack
        stack.destroy()


@pytest.fixture(scope="session")
def postgresql_stack(postgres_databases: PostgresDatabases) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="tst-", dir="/tmp") as directory:
        url = postgres_databases.create()
        stack = start_stack(Path(directory), url)
        yield stack
        stack.destroy()
        postgres_databases.drop(url)


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, verify=False, trust_env=False) as client:
        yield client


@pytest.fixture
def notes(stack: Stack) -> Notes:
    return Notes(stack.new_directory())
