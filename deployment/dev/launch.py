"""Starts one child of the local stack: drops root, ties its life to its parent's, becomes the program.

Usage: launch.py PARENT DEATH_SIGNAL UID GID NICE PROGRAM [ARGUMENT...]. Run as a small program of its own
and not as code between fork and exec, because the parent has threads. The kernel forgets the death
signal when the user changes, so it is asked for after that; the parent may have died before, so it
is looked at once more after asking.

What a nice value needs beside itself, `priority` tells.
"""

from __future__ import annotations

import ctypes
import os
import random
import sys
import time
from pathlib import Path

_AUTOGROUP = Path("/proc/self/autogroup")
_AUTOGROUP_TRIES = 50
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the program named on the command line."""
    parent, death_signal, uid, gid, nice = (int(a) for a in sys.argv[1:6])
    command = sys.argv[6:]
    os.umask(0o022)
    if nice:
        stand_back(nice)
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if parent:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(125)
    os.execvp(command[0], command)  # noqa: S606 - a fixed argument vector, no shell


def stand_back(nice: int) -> None:
    """Let others have the processor first: this process among its session's, and the session among all."""
    os.nice(nice)
    for _ in range(_AUTOGROUP_TRIES):
        try:
            _AUTOGROUP.write_text(str(nice))
            return
        except BlockingIOError:  # the kernel takes one such change in a tenth of a second from ordinary users
            time.sleep(random.uniform(0.05, 0.15))
        except OSError:  # a kernel without autogroups
            return


if __name__ == "__main__":
    main()
