"""Run a program so that it ends with the process that started it, even when that one is killed with SIGKILL.

A script of the standard library only, so that it starts in a moment: `tether.py PARENT_PID COMMAND…`.
On Linux it becomes the program, which the kernel then kills when the *thread* that started it ends
(PR_SET_PDEATHSIG): start it from the main thread. Elsewhere it stays, passes signals on, and looks twice a
second whether its parent is still there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
LOOK_EVERY_SECONDS = 0.5


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        become(parent, command)
    watch(parent, command)


def become(parent: int, command: list[str]) -> None:
    """Turn into the program, tied to the parent by the kernel."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we were tied to it
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


def watch(parent: int, command: list[str]) -> None:
    """Run the program as a child, and kill it when the parent is gone."""
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _: object) -> None:
        if child is None:
            sys.exit(128 + number)
        child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, pass_on)
    child = subprocess.Popen(command, close_fds=False)  # noqa: S603 - inherited files are the program's
    while os.getppid() == parent:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = child.wait(LOOK_EVERY_SECONDS)
            sys.exit(code if code >= 0 else 128 - code)
    child.kill()
    child.wait()


if __name__ == "__main__":
    main()
