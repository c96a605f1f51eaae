"""Is every guard guarded? Removes them one by one and demands that the named tests turn red.

`guard_rows.py` lists what keeps writers, tenants and askers apart outside the engine: fences, unique keys,
comparisons, resyncs. Each row is cut out of a copy of the tree in a temporary directory, never out of the
work tree, and then its tests must fail there; before that, all the named tests must pass in the whole copy.
The engine's own guards are found and cut by tests/property/mutate.py. Not part of the normal run:

    python -m tests.guards                    every row: some twenty minutes, with a stack of its own each
    python -m tests.guards door lost-branch   only these rows

Prints one line per row and a last line of figures; exits with 1 when a guard was not missed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.guard_rows import ROWS, Row

ROOT = Path(__file__).parents[1]
PARTS = ("telephony", "web", "realtime", "dialplan", "config", "deployment", "tests", "requirements", ".ci")
FILES = ("manage.py", "pyproject.toml")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", "dist", "*.pyc")
QUIET = ("-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=line", "--timeout=60")
LIMIT = 900
"""Seconds for one run of pytest; a run that is not over by then counts as red."""
RED = 1
"""pytest's exit code for tests that failed; the others say that nothing could be tested."""


class Unfit(Exception):
    """A row that says nothing: its text is not there once, or its tests are not green to begin with."""


class Copy:
    """A copy of the tree in which one row at a time is cut."""

    def __init__(self, into: Path) -> None:
        self.root = into
        for name in PARTS:
            shutil.copytree(ROOT / name, into / name, ignore=LEFT_OUT, symlinks=True)
        for name in FILES:
            shutil.copy2(ROOT / name, into / name)
        into.chmod(0o755)

    def tests(self, selection: Iterable[str]) -> int:
        """pytest's exit code for these tests, in the copy as it is now."""
        kept = {name: value for name, value in os.environ.items() if not _of_a_run(name)}
        environment = {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(self.root)}
        command = [sys.executable, "-m", "pytest", *QUIET, *selection]
        try:
            done = subprocess.run(
                command, cwd=self.root, env=environment, capture_output=True, timeout=LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            return RED
        self.said = done.stdout.decode(errors="replace")
        return done.returncode

    def missed(self, row: Row) -> bool:
        """Whether the row's tests notice that it is gone. Raises Unfit."""
        path = self.root / row.file
        whole = path.read_text()
        path.write_text(cut(row, whole))
        try:
            code = self.tests(row.tests)
        finally:
            path.write_text(whole)
        if code not in (0, RED):
            raise Unfit(f"pytest ended with {code}: {self.said[-2000:]}")
        return code == RED


def _of_a_run(name: str) -> bool:
    """Variables of a test run around us, which must not reach the one in the copy."""
    return name.startswith(("PYTEST_", "DJANGO_")) or (
        name.startswith("MURIMA_") and name not in ("MURIMA_CHROMIUM", "MURIMA_PREFER_PREFIX")
    )


def cut(row: Row, text: str) -> str:
    """The file's text without the guard. Raises Unfit unless each part to replace is there exactly once."""
    for before, after in row.cuts:
        if text.count(before) != 1:
            raise Unfit(f"{row.name}: {row.file} has {text.count(before)} times: {before}")
        text = text.replace(before, after)
    return text


def main(names: list[str]) -> int:
    rows = [row for row in ROWS if not names or row.name in names]
    kept = unfit = 0
    with tempfile.TemporaryDirectory(prefix="murima-guards-") as directory:
        tree = Copy(Path(directory) / "tree")
        if tree.tests(sorted({test for row in rows for test in row.tests})) != 0:
            print(tree.said[-6000:])
            print("the tests are not green to begin with")
            return 2
        for row in rows:
            try:
                missed = tree.missed(row)
                said = "missed" if missed else "SURVIVED"
                kept += not missed
            except Unfit as error:
                said = f"UNFIT: {error}"
                unfit += 1
            print(f"{row.name}: {said}", flush=True)
    print(f"{len(rows)} guards, {len(rows) - kept - unfit} guarded, {kept} survived, {unfit} unfit")
    return int(kept + unfit > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
