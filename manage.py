#!/usr/bin/env python
"""Every operator's task, by name: `manage.py <command> [--json]`.

Exit codes are part of the surface (0 ok, 1 failure, 2 usage, 3 not found, 4 permission, 5 a dependency
is down); `web.shared.core.commands` turns what a command raises into them. Nothing else happens here.
"""

from __future__ import annotations

import os
import sys


def main(argv: list[str] | None = None) -> int:
    """Run one management command; return its exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line

    from web.shared.core.exits import exit_code_of, explain

    arguments = sys.argv if argv is None else argv
    try:
        execute_from_command_line(arguments)
    except Exception as problem:
        if "--traceback" in arguments:
            raise
        explain(problem)
        return exit_code_of(problem)
    return 0


if __name__ == "__main__":
    sys.exit(main())
