"""End everything that a tool has started, also what has left its session. Linux only.

The tool's process is a child of this one, which the kernel makes the parent of every orphan below it: a program
that makes a session of its own, or forks twice to become a daemon, still ends up here. Forked from the tool's
process before it loads anything, so it costs no start.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

CAN_SUBREAP = sys.platform == "linux"

END_EVERYTHING = signal.SIGUSR1
"""Sent to this process: kill the tool and all below it."""

KILL_SECONDS = 5.0
"""How long what was killed may take to go; what cannot be killed (another user's) is left alone after that."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def fork_below_subreaper(worker: int, inherited: int) -> int:
    """Go on in a child of this process; this process stays behind and never returns from here.

    worker: the process whose death ends everything; inherited: a file descriptor that only the child needs.
    Returns the parent to live and die with: the one that stays, or the worker where the kernel knows no subreapers.
    """
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1) != 0:
        return worker
    awaited = {signal.SIGCHLD, END_EVERYTHING}
    former = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    keeper = os.getpid()
    tool = os.fork()
    if tool != 0:
        os.close(inherited)
        _stay_behind(tool, worker, awaited)
    signal.pthread_sigmask(signal.SIG_SETMASK, former)
    return keeper


def _stay_behind(tool: int, worker: int, awaited: set[signal.Signals]) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is meant for the tool, which is in the same group
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, END_EVERYTHING)
    if os.getppid() != worker:  # it died before we could ask
        _kill_all()
        os._exit(1)
    _leave_as(_outlive(tool, awaited))


def _outlive(tool: int, awaited: set[signal.Signals]) -> int:
    """Wait for the tool, then kill what it has left behind; the tool's wait status."""
    while True:
        if signal.sigwait(awaited) == END_EVERYTHING:
            os.kill(tool, signal.SIGKILL)
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            if ended[0] == tool:
                _kill_all()
                return ended[1]


def _kill_all() -> None:
    """Kill this process's children until there are none; theirs become ours when they die."""
    until = time.monotonic() + KILL_SECONDS
    while time.monotonic() < until:
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            return
        for child in _children():
            with contextlib.suppress(PermissionError):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.002)


def _children() -> list[int]:
    """Children of this process that still run; only they can have this parent, so none is somebody else's."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:  # it is gone
                continue
            if int(parent) == os.getpid() and state != "Z":
                found.append(int(entry.name))
    return found


def _leave_as(status: int) -> NoReturn:
    """End as the tool did, so that whoever waits for this process learns how it ended."""
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        number = os.WTERMSIG(status)
        if number not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
