"""Is every guard of the engine guarded? Removes each one and demands that the suite turns red.

A guard is an `if` (made never true) or one operand of an `and`/`or` that is no default (dropped), found in
the syntax trees of the engine and of the fold; asserts are claims, not guards. Each mutant runs in a copy of
the tree: the stories first, then some short worlds. Not part of the normal run, since it takes a quarter of
an hour:

    python -m tests.property.mutate                 every guard
    python -m tests.property.mutate call line       only those files

Prints one line per mutant and a last line of figures; exits with 1 when one survived that is not excused in
`EXCUSED`, where every entry says why the program is no worse without it.
"""

import ast
import copy
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ENGINE = (
    *("agent", "asking", "book", "ending", "floor", "line", "match", "offering"),
    *("strategies", "talking", "turn", "waiting", "wrapup"),
)
FILES = (*(f"telephony/engine/{name}.py" for name in _ENGINE), "telephony/contract/view.py")
STORIES = "test_engine_*.py"
WORLDS = "from tests.property.world import run\nfor seed in range(5): run(seed, 500)"

_QUIET = ("-x", "-q", "--noconftest", "--import-mode=importlib", "-p", "no:cacheprovider")

EXCUSED: dict[str, str] = {
    "line.py: before == place": "saves taking out and putting back",
    "line.py: before == seats": "saves taking out and putting back",
    "line.py: before == labels": "saves counting down and up",
    "line.py: fact.again": "a pause of no length is over in the same step: saves one look at its demand",
    "line.py: found.agent is not None": "who is kept has an agent: narrows the type",
    "line.py: len(self._heap) < 64 or len(self._heap) < 4 * len(self.due)": "saves trimming each time",
    "line.py: len(self._heap) < 64": "saves trimming each time",
    "line.py: len(self._heap) < 4 * len(self.due)": "saves trimming each time",
    "match.py: not turn.index.idle[demand]": "saves looking for somebody in an empty list",
    "strategies.py: len(fresh) == 2": "saves walking on to the end of the idle",
    "wrapup.py: call.queue is None": "who talked to an agent was in a queue: narrows the type",
}
"""`file: source text` of a guard, as printed, to why it may be missing: it saves work or narrows a type."""


@dataclass(frozen=True)
class Mutant:
    file: str
    line: int
    was: str
    source: str
    """The whole file without that guard."""


def mutants(file: str) -> Iterator[Mutant]:
    """Every guard of a file, one removed at a time."""
    tree = ast.parse((ROOT / file).read_text())
    claims = [each for node in ast.walk(tree) if isinstance(node, ast.Assert) for each in ast.walk(node)]
    for n, node in enumerate(ast.walk(tree)):
        if node in claims:
            continue
        if isinstance(node, ast.If | ast.IfExp):
            yield _mutant(file, tree, n, node.test, None)
        elif isinstance(node, ast.BoolOp) and not isinstance(node.values[-1], ast.Call | ast.Constant):
            for operand in range(len(node.values)):
                yield _mutant(file, tree, n, node.values[operand], operand)


def _mutant(file: str, tree: ast.Module, n: int, guard: ast.expr, operand: int | None) -> Mutant:
    changed = copy.deepcopy(tree)
    node = list(ast.walk(changed))[n]
    if isinstance(node, ast.BoolOp) and operand is not None:
        del node.values[operand]
        if len(node.values) == 1:
            node.values.append(copy.deepcopy(node.values[0]))
    elif isinstance(node, ast.If | ast.IfExp):
        node.test = ast.Constant(False)
    return Mutant(file, guard.lineno, ast.unparse(guard), ast.unparse(ast.fix_missing_locations(changed)))


class Copy:
    """A copy of the tree in which one file at a time is replaced."""

    def __init__(self, into: Path) -> None:
        self.root = into
        for name in ("telephony", "tests/unit", "tests/fakes", "tests/property"):
            shutil.copytree(ROOT / name, into / name, ignore=shutil.ignore_patterns("__pycache__"))
        (into / "tests" / "__init__.py").touch()
        (into / "pytest.ini").write_text("[pytest]\n")

    def killed(self, mutant: Mutant) -> str | None:
        """By which of the suites, None when it survived."""
        path = self.root / mutant.file
        whole = path.read_text()
        path.write_text(mutant.source)
        try:
            if not self.stories():
                return "stories"
            return None if self._green("-c", WORLDS) else "worlds"
        finally:
            path.write_text(whole)

    def stories(self) -> bool:
        """Whether the stories are green."""
        unit = self.root / "tests/unit"
        stories = [str(unit / "test_contract.py"), *sorted(str(each) for each in unit.glob(STORIES))]
        return self._green("-m", "pytest", *_QUIET, *stories)

    def _green(self, *arguments: str) -> bool:
        environment = {**os.environ, "PYTHONPATH": str(self.root), "PYTHONHASHSEED": "0"}
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        command = [sys.executable, "-B", *arguments]
        try:
            done = subprocess.run(
                command, cwd=self.root, env=environment, capture_output=True, timeout=60, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def main(names: list[str]) -> int:
    files = [file for file in FILES if not names or Path(file).stem in names]
    survived = excused = n = 0
    with tempfile.TemporaryDirectory() as directory:
        tree = Copy(Path(directory))
        for mutant in (each for file in files for each in mutants(file)):
            n += 1
            by = tree.killed(mutant)
            reason = EXCUSED.get(f"{Path(mutant.file).name}: {mutant.was}")
            survived += by is None and reason is None
            excused += by is None and reason is not None
            said = f"killed by {by}" if by else f"excused: {reason}" if reason else "SURVIVED"
            print(f"{mutant.file}:{mutant.line}: {mutant.was}: {said}", flush=True)
    print(f"{n} guards, {n - survived - excused} guarded, {excused} excused, {survived} survived")
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
