"""Kill what tools' processes started when the worker is killed.

The kernel ends a tool's process with its worker, but not the programs that process started. So each worker
that runs such tools has a keeper: a process that is told which process groups are running, and kills them
when the pipe it is told through closes. On Linux the subreaper of each group (`subreaper.py`) has the word first,
because it knows of more than the group. As a script (`keeper.py`, of the standard library only) it is that
process.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

END_SECONDS = 2.0
SUBREAPER_SECONDS = 2.0
"""How long a subreaper may take to end its tool before the whole group is killed, subreaper and all."""


class Keeper:
    """The worker's side: starts the process when it is first needed, and again if it died. Thread-safe."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def watch(self, group: int) -> None:
        with self._lock:
            self._groups.add(group)
            self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        with self._lock:
            self._groups.discard(group)
            self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError):
                _write(self._process, line)
                return
            self._process.wait()
        self._process = _start()
        _write(self._process, "".join(f"+{group}\n" for group in self._groups))


def _start() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(  # noqa: S603  this file
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,  # Ctrl-C is for the worker
    )
    atexit.register(_end, process)
    return process


def _write(process: subprocess.Popen[bytes], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line.encode())


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:  # something that a tool forked holds the pipe too
        process.kill()
        process.wait()


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user, or on its way out
        return True
    return True


def main() -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    until = time.monotonic() + (SUBREAPER_SECONDS if sys.platform == "linux" else 0)
    while any(_lives(group) for group in groups) and time.monotonic() < until:
        time.sleep(0.02)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
