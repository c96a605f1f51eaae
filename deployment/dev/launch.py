"""Starts one child of the local stack: drops root, ties its life to its parent's, becomes the program.

Usage: launch.py PARENT DEATH_SIGNAL UID GID PROGRAM [ARGUMENT...]. Run as a small program of its own
and not as code between fork and exec, because the parent has threads. The kernel forgets the death
signal when the user changes, so it is asked for after that; the parent may have died before, so it
is looked at once more after asking.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the program named on the command line."""
    parent, death_signal, uid, gid = (int(a) for a in sys.argv[1:5])
    command = sys.argv[5:]
    os.umask(0o022)
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if parent:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(125)
    os.execvp(command[0], command)  # noqa: S606 - a fixed argument vector, no shell


if __name__ == "__main__":
    main()
