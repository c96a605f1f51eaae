"""Every test that docs/security.md names is there, and the document says what the list says."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.web.security_rows import PARTS, Row

TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "docs" / "security.md"
ROWS = [row for rows in PARTS.values() for row in rows]


@cache
def names_in(path: str) -> frozenset[str]:
    """The tests of a module, those of a class as Class::name, skipped ones left out."""
    found = set()
    for node in ast.parse((TESTS / path).read_text()).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        before = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        for one in inside:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                marks = "".join(ast.unparse(mark) for mark in one.decorator_list)
                if one.name.startswith("test_") and "skip" not in marks and "xfail" not in marks:
                    found.add(f"{before}{one.name}")
    return frozenset(found)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_names_tests_that_are_there_or_says_what_is_missing(row: Row) -> None:
    assert row.promise.endswith(".") and (row.tests or row.missing)
    named = list(row.named)
    assert len(named) == len(set(named)) and bool(named) == bool(row.tests)
    for path, name in named:
        assert (TESTS / path).is_file(), f"tests/{path} is named and does not exist"
        assert name in names_in(path), f"tests/{path}::{name} is named and is not there, or is skipped"


def test_each_row_has_an_id_of_its_own() -> None:
    assert len({row.id for row in ROWS}) == len(ROWS)


def test_the_document_says_what_the_list_says() -> None:
    assert DOCUMENT.read_text() == document(), "run `python -m tests.web.test_security_rows` and commit"


def document() -> str:
    """docs/security.md."""
    lines = [
        "# Security, row by row",
        "",
        "What is promised, the tests that show it (in `tests/`), and what of it is not built yet. How to",
        "report what you find is in [SECURITY.md](../SECURITY.md).",
    ]
    for part, rows in PARTS.items():
        lines += ["", f"## {part}", "", "| | promise | shown by | not built yet |", "|---|---|---|---|"]
        for row in rows:
            tests = "<br>".join(f"`{path}::{name}`" for path, name in row.named)
            lines.append(f"| {row.id} | {row.promise} | {tests} | {row.missing} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
