"""What is written down about messages is what is sent; and realtime leaves other people's tables alone."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import msgspec
import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from realtime import clean, describe, groups, messages
from realtime.limits import Bucket

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_types_are_current(tmp_path, monkeypatch):
    from realtime.management.commands import bus_types

    call_command("bus_types", check=True)
    monkeypatch.setattr(bus_types, "TARGET", tmp_path / "messages.ts")
    with pytest.raises(CommandError):
        call_command("bus_types", check=True)
    call_command("bus_types")
    call_command("bus_types", check=True)


def test_asyncapi_names_every_message_and_resolves_every_reference():
    document = json.loads(json.dumps(describe.asyncapi()))
    assert document["asyncapi"] == "3.0.0"
    assert document["channels"]["desk"]["address"] == "/ws/v1/desk"
    names = {each["name"] for each in document["components"]["messages"].values()}
    assert {"hello", "snapshot", "offer.created", "pop", "wrapup.finish", "queue.states"} <= names

    def references(part):
        if isinstance(part, dict):
            if "$ref" in part:
                yield part["$ref"]
            for value in part.values():
                yield from references(value)
        elif isinstance(part, list):
            for value in part:
                yield from references(value)

    for reference in references(document):
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_message_has_a_row_in_the_permission_registry():
    from realtime import routing
    from web.shared.accounts import registry

    kinds = {message.name for channel in messages.CHANNELS for message in channel.takes}
    assert kinds <= registry.messages.keys()
    assert routing.websocket_urlpatterns
    with pytest.raises(LookupError, match=r"desk\.unheard_of"):
        registry.require_messages(["ping", "desk.unheard_of"])


def test_asyncapi_is_served(api):
    response = api().get("/api/asyncapi/")
    assert response.status_code == 200
    assert response.json()["asyncapi"] == "3.0.0"


test_asyncapi_is_served = pytest.mark.django_db(test_asyncapi_is_served)


def test_realtime_imports_no_models_and_queries_only_through_the_helper():
    for path in (ROOT / "realtime").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{each.name}" for each in node.names]
            elif isinstance(node, ast.Import):
                names = [each.name for each in node.names]
            elif isinstance(node, ast.Attribute):
                assert node.attr not in {"objects", "all_objects", "_base_manager", "_default_manager"}, path
            for name in names:
                assert ".models" not in name or name.startswith("django.db.models.signals"), (path, name)
                assert name != "django.db.connection", path
                assert not name.startswith("asgiref.sync.sync_to_async"), path


@given(st.text())
def test_a_cleaned_name_is_one_short_printable_line(text):
    name = clean.name(text)
    if name is not None:
        assert 0 < len(name) <= 80
        assert name.isprintable()
        assert name == " ".join(name.split())
        assert not set(name) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff\x00\r\n")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+254700000001", "+254700000001"),
        ("0700", "0700"),
        ("", None),
        ("<b>", None),
        ("+", None),
        ("+" * 5, None),
        ("1\n", None),
        ("٣٤٥", None),
        ("1" * 40, None),
    ],
)
def test_a_number_is_digits_or_nothing(text, number):
    assert clean.number(text) == number


def test_group_names_take_only_tenant_ids():
    for bad in ("", "t_x", "../t_aaaaaaaaaaaa", "t_aaaaaaaaaaaa\n", "t_aaaaaaaaaaaa.q", "public"):
        with pytest.raises(ValueError, match="tenant id"):
            groups.everybody(bad)


def test_the_bucket_lets_twenty_through_and_refills():
    bucket = Bucket(0.0)
    assert [bucket.take(0.0) for _ in range(22)].count(True) == 20
    assert bucket.take(0.5)
    assert [bucket.take(100.0) for _ in range(22)].count(True) == 20


def test_what_a_client_sends_must_fit_exactly():
    for bad in (
        b'{"call":"c","muted":true,"x":1}',
        b'{"call":"c","muted":"yes"}',
        b'{"call":"","muted":true}',
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(bad, type=messages.CallMute)
