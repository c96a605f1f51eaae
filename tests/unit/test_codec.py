"""Bytes: what is written is read back, what is unknown is tolerated, what is not sealed is refused."""

import json
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from telephony import codec
from telephony.contract import asks, facts, frames
from telephony.contract.asks import ASKS, Envelope
from telephony.contract.facts import FACTS
from telephony.contract.frames import Ack, Beat, Entry, Party, Unknown
from telephony.contract.view import View, apply
from tests.fakes.floor_story import TENANT, Story, agent_id, make_policy, make_row
from tests.property.world import run

ASK: Any = "a"
PARTY: Any = "p"
AGENT: Any = "a"
HELP: Any = "help"
ANN: Any = agent_id("ann")
KEY = b"k" * 32
TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
NUMBER = st.integers(-(2**53), 2**53)
for plain, strategy in ((str, TEXT), (int, NUMBER)):
    st.register_type_strategy(plain, strategy)


def envelope(body, **rest):
    given = {"id": "ask-1", "tenant": TENANT, "actor": "agent-ann", "at": 1, "expires": 2, **rest}
    return Envelope(body=body, **given)


@settings(max_examples=10, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", FACTS.values(), ids=FACTS)
def test_every_fact_survives_its_entry(kind, data):
    fact = data.draw(st.builds(kind))
    entry = Entry(tenant=TENANT, epoch=1, seq=2, at=3, fact=fact, ask=data.draw(st.sampled_from([None, "a"])))
    assert codec.decode_entry(codec.encode_entry(entry)) == entry
    again = codec.entry(TENANT, 1, 2, 3, kind.__name__, codec.encode_fact(fact), entry.ask)
    assert again == entry


@settings(max_examples=10, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", ASKS.values(), ids=ASKS)
def test_every_ask_survives_its_seal(kind, data):
    sent = envelope(data.draw(st.builds(kind)))
    assert codec.open_ask(codec.seal_ask(sent, KEY), KEY) == sent


@pytest.mark.parametrize("field", ["id", "tenant", "actor", "at", "expires", "type", "data", "mac"])
def test_a_sealed_ask_cannot_be_changed(field):
    sealed = json.loads(codec.seal_ask(envelope(asks.EndShift(agent=ANN)), KEY))
    sealed[field] = {
        "at": 7,
        "expires": 7,
        "type": "HangUpCall",
        "data": {"agent": "agent-bob"},
    }.get(field, "0" * 64)
    with pytest.raises(ValueError, match="seal"):
        codec.open_ask(json.dumps(sealed).encode(), KEY)


def test_another_key_and_an_unknown_ask_are_refused():
    sealed = codec.seal_ask(envelope(asks.EndShift(agent=ANN)), KEY)
    with pytest.raises(ValueError, match="seal"):
        codec.open_ask(sealed, b"o" * 32)
    wire = codec._AskWire(
        id="a", tenant=TENANT, actor="x", at=1, expires=2, type="Later", data=msgspec.Raw(b"{}")
    )
    wire.mac = codec._mac(wire, KEY)
    with pytest.raises(ValueError, match="does not know"):
        codec.open_ask(codec.canonical(wire), KEY)


@pytest.mark.parametrize("bad", [b"", b"null", b"[]", b'{"id": 1}', b"\xff\xfe", b"{" * 5000])
def test_a_bad_shape_is_a_value_error(bad):
    with pytest.raises(ValueError):
        codec.open_ask(bad, KEY)


def test_only_registered_kinds_can_be_written():
    with pytest.raises(TypeError):
        codec.encode_entry(Entry(tenant=TENANT, epoch=1, seq=1, at=1, fact=Unknown(type="x")))
    with pytest.raises(TypeError):
        codec.seal_ask(envelope(object()), KEY)


def test_an_unknown_fact_is_kept_as_such_and_moves_the_position():
    entry = codec.entry(TENANT, 1, 1, 5, "FromTheFuture", b'{"a": 1}', None)
    assert entry.fact == Unknown(type="FromTheFuture")
    view = View(tenant=TENANT)
    apply(view, entry)
    assert (view.seq, view.at, view.unknown) == (1, 5, 1)


def test_unknown_fields_are_ignored_and_missing_ones_have_defaults():
    data = b'{"agent": "a", "intent": "ready", "later": [1]}'
    assert codec.entry(TENANT, 1, 1, 1, "StatusSet", data, None).fact == facts.StatusSet(
        agent=AGENT, intent=facts.Intent.READY
    )


@pytest.mark.parametrize(
    "frame",
    [
        Beat(tenant=TENANT, epoch=1, seq=2, at=3),
        Ack(tenant=TENANT, ask=ASK, ok=False, code="expired", detail="late"),
        Party(tenant=TENANT, party=PARTY, key=1, sealed=b"\x00\xff", digest=b"\x01"),
        Party(tenant=TENANT, party=PARTY, key=1, sealed=b"\x00\xff", digest=b"", shard="0"),
        Entry(tenant=TENANT, epoch=1, seq=1, at=1, fact=facts.OwnerStarted(build="b")),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_frames_survive(frame):
    kind, data = codec.encode_frame(frame)
    assert codec.decode_frame(kind, data) == frame


def test_a_frame_of_a_later_release_is_none():
    assert codec.decode_frame("later", b"{}") is None


def test_published_things_survive_and_equal_ones_have_equal_hashes():
    policy, row = make_policy(help={"priority": 3}), make_row("ann", {"help": 1})
    assert codec.decode_manifest(codec.canonical(policy.manifest)) == policy.manifest
    assert codec.decode_queue(codec.canonical(policy.queues[HELP])) == policy.queues[HELP]
    assert codec.decode_roster(codec.canonical(row)) == row
    assert make_policy(help={"priority": 3}).hash == policy.hash
    assert make_policy(help={"priority": 4}).hash != policy.hash


def test_a_checkpoint_survives_with_the_order_of_the_asks():
    view = run(3, 300).floor.view
    view.asks = {"z": 1, "a": 2, "m": 3}
    read = codec.decode_view(codec.encode_view(view))
    assert read == view
    assert list(read.asks) == ["z", "a", "m"]


def test_a_checkpoint_of_an_older_release_is_read():
    """The fields that came later have defaults."""
    story = Story()
    story.ready("ann")
    story.enters()
    wire = json.loads(codec.encode_view(story.floor.view))
    for agent in wire["agents"].values():
        for name in ("keeps", "cools_until", "devices"):
            del agent[name]
    for call in wire["calls"].values():
        del call["again"]
    read = codec.decode_view(json.dumps(wire).encode())
    assert read.agents.keys() == story.floor.view.agents.keys()


def test_the_contract_names_its_frames():
    assert {frames.Beat, frames.Ack} <= set(codec._FRAMES.values())
