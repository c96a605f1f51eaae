"""Fixtures of the adapters' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters import log_kit


@pytest.fixture(scope="session")
def log_template(stack_postgres: str) -> Iterator[str]:
    """A database with the log's tables, to copy."""
    name = log_kit.make_template()
    yield name
    log_kit.drop_database(name)


@pytest.fixture
def log_database(log_template: str) -> Iterator[log_kit.Urls]:
    """A database of the test's own, with empty tables of the log."""
    name = log_kit.make_database(log_template)
    yield log_kit.urls(name)
    log_kit.drop_database(name)
