"""A run fails when a test was skipped, or failed or passed against expectation, and no reason is on file.

`.ci/allowed-skips.txt` lists the exceptions with their reasons; it is empty as long as it can be.
"""

from __future__ import annotations

from pathlib import Path

import pytest

_FILE = Path(__file__).parents[1] / ".ci/allowed-skips.txt"
_unlisted: list[str] = []


def _allowed() -> set[str]:
    lines = _FILE.read_text().splitlines() if _FILE.exists() else []
    return {line.split(" # ")[0].strip() for line in lines if " # " in line and not line.startswith("#")}


def _look(report: pytest.TestReport | pytest.CollectReport) -> None:
    unexpected = hasattr(report, "wasxfail") and report.passed
    if (report.skipped or unexpected) and report.nodeid not in _allowed():
        _unlisted.append(f"{'xpassed' if unexpected else 'skipped'}: {report.nodeid}")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Look at each test's outcome."""
    _look(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Look at modules that skip themselves."""
    _look(report)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what is not on file."""
    if _unlisted:
        terminalreporter.section("skipped without a reason in .ci/allowed-skips.txt")
        for line in _unlisted:
            terminalreporter.line(line)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Make it fail."""
    if _unlisted and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
