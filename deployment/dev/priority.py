"""Who has the processor first, on a machine with few cores.

A nice value alone changes nothing between two children: each leads a session, and a kernel with autogroups
shares the processor between sessions first and looks at nice values within one. So the session gets it too.
And a server may open a session for each of its own processes, as PostgreSQL does for every connection: such
a session begins with no nice value and weighs as much as all of Asterisk. The keeper looks for these.
"""

from __future__ import annotations

from pathlib import Path

STANDS_BACK = {"redis": 5, "web": 8, "postgres": 10, "intake": 15, "worker": 15, "beat": 15}
"""How far each lets others go first, as nice values. Asterisk and the daemon come first: a caller who is
being connected, and everybody's sound. Then what carries to the desks, the desks, PostgreSQL. Rows, mail and
periodic work come when those leave room; who waits for them waits a little more, and only under load."""


def hold_back(leader: int, nice: int) -> bool:
    """Give the sessions of a process's children the nice value; False when some still lack it, because the
    kernel takes one such change in a tenth of a second from ordinary users."""
    for pid in _children(leader):
        group = Path(f"/proc/{pid}/autogroup")
        try:
            if not group.read_text().endswith(f" nice {nice}\n"):
                group.write_text(str(nice))
        except BlockingIOError:
            return False
        except OSError:  # it ended, or the kernel has no autogroups
            continue
    return True


def _children(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
