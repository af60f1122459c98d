"""What a tool's process may use, and how long it may live. Called inside that process."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

MEMORY_CAN_BE_LIMITED = sys.platform == "linux"

OUT_OF_MEMORY = 86
"""Exit code of a process that had too little memory left even to say so."""

_PR_SET_PDEATHSIG = 1


def limit_memory(size: int) -> None:
    """Refuse the process more than `size` bytes of memory of its own.

    RLIMIT_DATA counts what is allocated; RLIMIT_AS would also count address space that is merely reserved,
    of which allocators and engines take gigabytes.
    """
    if MEMORY_CAN_BE_LIMITED:
        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def die_with_parent(parent: int) -> None:
    """Be killed when the worker dies, however it dies. Elsewhere than on Linux the closed pipe tells us."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we could ask
        os._exit(1)
