"""Clients whose dependencies exclude ours, each in an environment of its own, against `tasks-server dev`.

A client is a folder here: `requirements.lock` is installed into `.clients/NAME`, then `drive.py` is run with
the URL of a server that offers the conformance fixtures. Ends with 1 if any of them fails.
"""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.support.processes import ProcessStarter

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENTS = ROOT / ".clients"
DRIVE_TIMEOUT_SECONDS = 120


def environment(client: Path) -> Path:
    """The Python of the client's environment, installed anew when its lock has changed."""
    lock = client / "requirements.lock"
    directory = ENVIRONMENTS / client.name
    stamp = directory / ".installed"
    python = directory / "bin" / "python"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"Installing {client.name} into {directory.relative_to(ROOT)} …", flush=True)
        venv.create(directory, clear=True, with_pip=True)
        install = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "-r",
            lock,
        ]
        subprocess.run(install, check=True)
        stamp.write_text(digest)
    return python


async def main() -> int:
    clients = sorted(path.parent for path in HERE.glob("*/drive.py"))
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="clients-", dir="/tmp") as directory:
        starter = ProcessStarter(Path(directory))
        try:
            options = (
                "--port",
                "0",
                "--data-dir",
                f"{directory}/data",
                "--tools",
                "tests.conformance.fixtures",
            )
            server = starter.tasks_server("dev", *options, cwd=ROOT)
            url = (await server.line(r"http://\S+/mcp\b"))[0]
            for client in clients:
                drive = [environment(client), client / "drive.py", url]
                if subprocess.run(drive, timeout=DRIVE_TIMEOUT_SECONDS, check=False).returncode != 0:
                    failed.append(client.name)
        finally:
            starter.destroy()
    print(f"{len(clients) - len(failed)} clients passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
