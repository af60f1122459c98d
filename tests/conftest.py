"""Real servers for every suite, started when the first test asks for them and ended with the session."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks_server.store.migrate import migrate
from tests.support.databases import PostgresDatabases, SqliteDatabases
from tests.support.processes import ProcessStarter
from tests.support.redis_keys import flush, keys_without_expiry
from tests.support.s3 import S3Server
from tests.support.servers import PostgresServer, ValkeyServer

DATABASES = ("sqlite", "postgresql")

# A shell that runs the tests in the background lets them ignore Ctrl-C, and with them all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def survive(number: int, frame: object) -> None:
    """Handle a signal by going on."""


# So does nohup with a hang-up. What has a handler here, even an idle one, is not ignored by what is started.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, survive)


def pytest_xdist_auto_num_workers() -> int:
    """More than there are cores: many tests wait for processes, leases and clocks most of the time."""
    cores = os.cpu_count() or 1
    return cores + (cores + 1) // 2


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tests that run side by side send what was logged as UTF-8, which cannot hold every odd text of a test."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make test` runs races and faults that both databases can have on PostgreSQL, `make crashes` on SQLite too."""
    here = [item for item in items if item.path.parent.name in ("crashes", "races")]
    on_postgresql = {_whatever_the_database(item) for item in here if _database(item) == "postgresql"}
    for item in here:
        if _database(item) == "sqlite" and _whatever_the_database(item) in on_postgresql:
            item.add_marker(pytest.mark.slow)


def _database(item: pytest.Item) -> str | None:
    callspec: Any = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("database_url")


def _whatever_the_database(item: pytest.Item) -> str:
    return item.nodeid.replace("sqlite", "postgresql")


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[ValkeyServer]:
    server = ValkeyServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def postgres_databases() -> Iterator[PostgresDatabases]:
    server = PostgresServer()
    server.start()
    databases = PostgresDatabases(server, migrate)
    yield databases
    databases.close()
    server.remove()


@pytest.fixture(scope="session")
def postgres_to_break() -> Iterator[tuple[PostgresServer, PostgresDatabases]]:
    """Another PostgreSQL, for tests that stop it; nobody else's connections hang on it."""
    server = PostgresServer()
    server.start()
    databases = PostgresDatabases(server, migrate)
    yield server, databases
    databases.close()
    server.remove()


@pytest.fixture(scope="session")
def sqlite_databases() -> Iterator[SqliteDatabases]:
    with tempfile.TemporaryDirectory(prefix="tst-") as directory:
        yield SqliteDatabases(Path(directory), migrate)


@pytest.fixture
def redis_url(shared_valkey: ValkeyServer) -> Iterator[str]:
    """An empty Redis. A test that leaves a key behind which would never expire fails."""
    flush(shared_valkey.url)
    yield shared_valkey.url
    assert keys_without_expiry(shared_valkey.url) == [], "these Redis keys would stay for ever"


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    """A Valkey of the test's own, running: to be killed, paused, emptied and started again."""
    server = ValkeyServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def sqlite_url(sqlite_databases: SqliteDatabases, tmp_path: Path) -> str:
    """A migrated SQLite database of the test's own."""
    return sqlite_databases.create(tmp_path)


@pytest.fixture
def postgresql_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """A migrated PostgreSQL database of the test's own. Change its rows, not its shape."""
    url = postgres_databases.create()
    yield url
    postgres_databases.take_back(url)


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of the test's own; the test runs once for each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=DATABASES)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a single table, once for each kind."""
    if request.param == "sqlite":
        databases: SqliteDatabases = request.getfixturevalue("sqlite_databases")
        yield databases.create(tmp_path, empty=True)
        return
    postgres: PostgresDatabases = request.getfixturevalue("postgres_databases")
    url = postgres.create(empty=True)
    yield url
    postgres.drop(url)


@pytest.fixture(scope="session")
def shared_s3() -> Iterator[S3Server]:
    server = S3Server()
    server.start()
    server.create_bucket()
    yield server
    server.remove()


@pytest.fixture
def s3(shared_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """An S3 with a bucket, and this process's environment as its clients want it."""
    for name, value in shared_s3.environment.items():
        monkeypatch.setenv(name, value)
    return shared_s3


@pytest.fixture
def start() -> Iterator[ProcessStarter]:
    """Starts `tasks-server …` as real processes; whatever still runs at the end of the test is ended."""
    with tempfile.TemporaryDirectory(prefix="tst-", dir="/tmp") as directory:
        starter = ProcessStarter(Path(directory))
        yield starter
        starter.destroy()
