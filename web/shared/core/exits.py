"""Exit codes of commands, and how a failure is told: what, why, the next command.

0 ok, 1 failure, 2 usage, 3 not found, 4 permission, 5 a dependency is down. A command raises Exit with the
code that fits; anything else becomes 1, and a lost database or Redis 5.
"""

from __future__ import annotations

import sys
from enum import IntEnum

from django.core.management.base import CommandError


class Code(IntEnum):
    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_FOUND = 3
    PERMISSION = 4
    DEPENDENCY = 5


class Exit(Exception):
    """`raise Exit("No such tenant.", why="...", next_step="manage.py tenant_list", code=Code.NOT_FOUND)`

    Not a CommandError: Django would print that one itself, and only its first line.
    """

    def __init__(self, what: str, *, why: str = "", next_step: str = "", code: Code = Code.FAILURE) -> None:
        super().__init__(what)
        self.what, self.why, self.next_step, self.code = what, why, next_step, code


def exit_code_of(problem: BaseException) -> int:
    from django.db import InterfaceError, OperationalError
    from redis.exceptions import ConnectionError as RedisAway

    if isinstance(problem, Exit):
        return int(problem.code)
    if isinstance(problem, CommandError):
        return int(problem.returncode)
    if isinstance(problem, OperationalError | InterfaceError | RedisAway):
        return int(Code.DEPENDENCY)
    return int(Code.PERMISSION) if isinstance(problem, PermissionError) else int(Code.FAILURE)


def explain(problem: BaseException) -> None:
    """Say on standard error what happened, without a traceback."""
    lines = [f"Error: {problem}" if str(problem) else f"Error: {type(problem).__name__}"]
    if isinstance(problem, Exit):
        lines = [f"Error: {problem.what}"]
        lines += [f"Why:   {problem.why}"] if problem.why else []
        lines += [f"Next:  {problem.next_step}"] if problem.next_step else []
    sys.stderr.write("\n".join(lines) + "\n")
