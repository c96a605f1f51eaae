"""Every model and address of the design is there, held by a test, and told in docs/models.md."""

from __future__ import annotations

import uuid
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.urls import Resolver404, get_resolver

from tests.web.promised_models import BASE, PROMISES, Promise

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "models.md"


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.model)
def test_a_promised_model_has_its_fields_its_address_and_its_tests(promise: Promise) -> None:
    model = apps.get_model(promise.model)
    for name in promise.fields.split() + (BASE.split() if promise.base else []):
        try:
            model._meta.get_field(name)
        except FieldDoesNotExist:
            pytest.fail(
                f"{promise.model}.{name} is promised; add it, or say in `instead` what took its place"
            )
    assert not set(promise.instead) & set(promise.fields.split())
    for address in promise.at:
        assert _is_api(address), f"{address} answers with the browser application or not at all"
    for test in promise.tests:
        assert (HERE / f"{test}.py").exists(), f"tests/web/{test}.py is named and does not exist"


def _is_api(address: str) -> bool:
    conf = "config.urls_public" if address.startswith("/api/platform/") else "config.urls_tenant"
    import_module(conf)
    try:
        found = get_resolver(conf).resolve(address.replace("{id}", str(uuid.uuid4())))
    except Resolver404:
        return False
    return found.view_name not in ("api-not-found", "app")


def test_the_document_says_what_the_list_says() -> None:
    assert DOCUMENT.read_text() == document(), "run `python -m tests.web.test_promised_models` and commit"


def document() -> str:
    """docs/models.md."""
    lines = [
        "# Models, addresses, tests",
        "",
        "Each model of the design, where it is reached, and the tests that hold it (in `tests/web/`).",
        "Fields are in the OpenAPI description at `/api/docs/`.",
        "",
        "| model | addresses | tests | named otherwise |",
        "|---|---|---|---|",
    ]
    for one in PROMISES:
        at = "<br>".join(f"`{address}`" for address in one.at)
        tests = "<br>".join(f"`{test}`" for test in one.tests)
        instead = "<br>".join(f"`{name}`: {why}" for name, why in one.instead.items())
        lines.append(f"| {one.model} | {at} | {tests} | {instead} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
