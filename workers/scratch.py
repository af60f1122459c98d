"""Where a worker's temporary files lie, and how they go when it could not remove them itself.

A run keeps private copies of callers' files in temporary directories. A worker that is killed leaves them, so
each worker process keeps everything temporary in one directory that it holds a lock on (`flock`) while it
lives: a directory of ours whose lock is free belonged to a worker that is dead. The lock is on the directory
itself because systemd-tmpfiles, too, leaves directories alone that are locked.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Generator
from pathlib import Path

log = logging.getLogger(__name__)

PREFIX = "tasks-server-worker-"


@contextlib.contextmanager
def own_scratch() -> Generator[Path]:
    """Give this process, and the programs it starts, a temporary directory of their own; remove it in the end.

    What dead workers of the same user left beside it is removed first. While it lasts, `tempfile` and
    `TMPDIR` mean that directory.
    """
    parent = Path(tempfile.gettempdir())
    sweep(parent)
    directory, lock = _locked_directory(parent)
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(directory)
    try:
        yield directory
    finally:
        tempfile.tempdir, variable = before
        if variable is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = variable
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def sweep(parent: Path) -> None:
    """Remove what workers of this user that are dead have left in `parent`."""
    for directory in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else was faster, or it cannot be locked: leave it
            if not _is_ours(directory):
                continue
            lock = _opened(directory)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
                log.info("removed %s, the temporary files of a worker that was killed", directory)
            finally:
                os.close(lock)


def _locked_directory(parent: Path) -> tuple[Path, int]:
    """A new directory and the descriptor that holds its lock."""
    while True:
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        try:
            lock = _opened(directory)
        except FileNotFoundError:
            continue  # another worker took it for a dead one's before it was locked
        with contextlib.suppress(
            OSError
        ):  # a file system without such locks: then nobody can sweep there either
            fcntl.flock(lock, fcntl.LOCK_EX)
        if directory.exists():
            return directory, lock
        os.close(lock)


def _is_ours(directory: Path) -> bool:
    """Whether it is a directory (and no link to one) that belongs to this user."""
    found = directory.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _opened(directory: Path) -> int:
    return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
