"""Become another program that ends with the process that started it. A script of the standard library only.

`launch.py PARENT_PID USER COMMAND…`: USER is a login name to become (PostgreSQL refuses to run as root), or
`-` to stay. On Linux the kernel kills the program with its parent, so that even a `kill -9` of pytest leaves
nothing behind.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, user, *command = sys.argv[1:]
    if user != "-":
        account = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    if sys.platform == "linux":  # after setuid, which clears it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != int(parent):
            sys.exit("the parent was gone before its child had started")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
