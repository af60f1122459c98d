"""What each client is installed into, and how its driver is started there."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / ".clients"
SHARED = Path(__file__).parent / "shared"
SCRIPTS = Path(sysconfig.get_path("scripts"))
DRIVE_TIMEOUT_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Drive:
    """A driver that is ready to run."""

    name: str
    command: tuple[Path, ...]

    def run(self, url: str) -> tuple[bool, str]:
        """Whether it passed, and what it has said."""
        try:
            done = subprocess.run(
                [*self.command, url],
                env={**os.environ, "PYTHONPATH": f"{SHARED}{os.pathsep}{ROOT}", "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=DRIVE_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return False, f"{_text(error.output)}\nstopped after {DRIVE_TIMEOUT_SECONDS} s"
        return done.returncode == 0, _text(done.stdout)


def prepare(client: Path) -> Drive:
    """Install what the client's lock names, unless that has been done; say how its driver is started."""
    directory = ENVIRONMENTS / client.name
    if (lock := client / "requirements.lock").exists():
        return Drive(client.name, (python_environment(lock, client.name), client / "drive.py"))
    if (lock := client / "package-lock.json").exists():
        if not _is_installed(directory, lock):
            _install_node(directory, client)
            _note_installed(directory, lock)
        # Node looks for packages from where a module lies.
        for module in (*client.glob("*.mjs"), *SHARED.glob("*.mjs")):
            shutil.copy(module, directory)
        return Drive(client.name, (SCRIPTS / "node", directory / "drive.mjs"))
    return Drive(client.name, (Path(sys.executable), client / "drive.py"))


def python_environment(lock: Path, name: str) -> Path:
    """The interpreter of an environment that holds what the lock names."""
    directory = ENVIRONMENTS / name
    if not _is_installed(directory, lock):
        _install_python(directory, lock)
        _note_installed(directory, lock)
    return directory / "bin" / "python"


def _install_python(directory: Path, lock: Path) -> None:
    uv, python = SCRIPTS / "uv", directory / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, directory], check=True)
    options = ("--quiet", "--no-deps", "--require-hashes", "-r", lock)
    subprocess.run([uv, "pip", "install", "--python", python, *options], check=True)


def _install_node(directory: Path, client: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(client / name, directory)
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    path = f"{SCRIPTS}{os.pathsep}{os.environ.get('PATH', '')}"
    subprocess.run(
        [SCRIPTS / "npm", "ci", *options], cwd=directory, env={**os.environ, "PATH": path}, check=True
    )


def _is_installed(directory: Path, lock: Path) -> bool:
    stamp = directory / ".installed"
    return stamp.exists() and stamp.read_text() == _digest(lock)


def _note_installed(directory: Path, lock: Path) -> None:
    (directory / ".installed").write_text(_digest(lock))


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _text(output: bytes | None) -> str:
    return (output or b"").decode(errors="replace")
