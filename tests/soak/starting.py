"""`python -m tests.soak.starting`: how long a host waits for `tasks-server stdio`, and how long it takes to leave."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

from tests.support.mcp_messages import META
from tests.support.pipe import Message, Pipe, start_stdio
from tests.support.processes import ProcessStarter

AT_MOST_SECONDS = 2.0
WAIT_SECONDS = 120.0
COMPUTE = "import signal; signal.alarm(600)\nwhile True: pass"

numbers = count(1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.starting", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often it is started")
    parser.add_argument("--busy", type=int, default=0, help="how many processes compute meanwhile")
    options = parser.parse_args()
    rounds: int = options.rounds
    busy: int = options.busy
    computing = [subprocess.Popen([sys.executable, "-c", COMPUTE]) for _ in range(busy)]
    print(f"{os.cpu_count()} processors, {busy} of our own processes compute meanwhile")
    print(f"{'seconds until':16}{'discover':>10}{'initialize':>12}{'tools/list':>12}{'the end':>10}")
    try:
        with tempfile.TemporaryDirectory(prefix="start-", dir="/tmp") as directory:
            slowest = max(start(Path(directory), number) for number in range(rounds))
    finally:
        for process in computing:
            process.kill()
            process.wait()
    if slowest > AT_MOST_SECONDS:
        print(f"\nA host had to wait for more than {AT_MOST_SECONDS:g} s for the handshake.", file=sys.stderr)
        return 1
    return 0


def start(directory: Path, number: int) -> float:
    """Once, printed as a row. How long the handshake took."""
    starter = ProcessStarter(directory)
    began = time.monotonic()
    pipe = start_stdio(starter, "--data-dir", str(directory / "data"))
    try:
        discovered = answered(pipe, "server/discover", began)
        initialized = answered(pipe, "initialize", began)
        listed = answered(pipe, "tools/list", began)
        closed = time.monotonic()
        pipe.close()
        pipe.started.process.wait()
        ended = time.monotonic() - closed
    finally:
        starter.destroy()
    name = "empty directory" if number == 0 else "start again"
    print(f"{name:16}{discovered:10.2f}{initialized:12.2f}{listed:12.2f}{ended:10.2f}", flush=True)
    return max(discovered, initialized)


def answered(pipe: Pipe, method: str, began: float) -> float:
    """Ask and wait; the seconds since the process was started."""
    request = message(method)
    pipe.send(request)
    until = began + WAIT_SECONDS
    while not any(found.get("id") == request["id"] for found in pipe.messages):
        if time.monotonic() > until:
            raise SystemExit(f"no answer to {method} within {WAIT_SECONDS:g} s:\n{pipe.started.output}")
        time.sleep(0.002)
    return time.monotonic() - began


def message(method: str) -> Message:
    params: Message = {"_meta": META}
    if method == "initialize":
        params = {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "0"},
        }
    return {"jsonrpc": "2.0", "id": next(numbers), "method": method, "params": params}


if __name__ == "__main__":
    sys.exit(main())
