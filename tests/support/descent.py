"""The processes below a process.

`psutil.Process.children` leaves out what seems older than its parent, and it compares times of the wall clock: where
that clock is being corrected, a child that has just been started may be missing.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress

import psutil


def descendants(pid: int) -> list[psutil.Process]:
    """Its children, their children and so on, as they are now."""
    children: dict[int, list[psutil.Process]] = defaultdict(list)
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            children[process.ppid()].append(process)
    found = list(children[pid])
    for process in found:  # grows as it is walked
        found += children[process.pid]
    return found
