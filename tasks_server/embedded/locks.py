"""Advisory locks on files, which the operating system lets go of whatever happens to their holder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def try_lock(path: Path) -> int | None:
    """Take the lock on `path`, or None if somebody else has it.

    The descriptor is the lock: a process that inherits a copy holds the lock too, until all are closed.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def unlock(descriptor: int) -> None:
    """Let go of this copy of the lock."""
    os.close(descriptor)
