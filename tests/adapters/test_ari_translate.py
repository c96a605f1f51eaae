"""From Asterisk's events to notes: pure."""

import msgspec
import pytest

from telephony.adapters.ari import commands, provision, translate, wire
from telephony.adapters.ari.switch import check_version
from telephony.contract.ids import CallId, Endpoint, TenantId, bridge, part
from telephony.contract.roster import Device, DeviceKind
from telephony.engine import commands as c
from telephony.ports import switch as s
from tests.fakes.publication import digest

CALL = CallId("01a2047f-8597-7bbb-88e8-9de345cfb212")
APP = "murima-0"


def note(kind: str, **fields: object) -> s.Note | None:
    frame = msgspec.json.encode({"type": kind, "application": APP, **fields})
    return translate.note(wire.decode(frame)[1], node="a", application=APP)


def channel(name: str = "1.1", state: str = "Ring", number: str = "", caller: str = "") -> dict[str, object]:
    return {
        "id": name,
        "state": state,
        "creationtime": "2026-01-01T00:00:00.500+0000",
        "caller": {"number": number, "name": caller},
    }


@pytest.mark.parametrize(("text", "clean"), [
    ("Wanjiru", "Wanjiru"),
    ("  a\r\nVia: evil\x00 ", "aVia: evil"),
    ("\u202eevil\u2066\u200b", "evil"),
    ("<img onerror=x>", "<img onerror=x>"),
    ("\ud800x", "x"),
    ("x" * 500, "x" * translate.NAME_LIMIT),
    ("e\u0301", "\u00e9"),
])  # fmt: skip
def test_names_lose_what_cannot_be_seen(text: str, clean: str) -> None:
    assert translate.clean(text, translate.NAME_LIMIT) == clean


@pytest.mark.parametrize(("text", "number"), [
    ("+254 711 000-001", "+254711000001"),
    ("0711000001", "0711000001"),
    ("anonymous", ""),
    ("Unknown", ""),
    ("<script>", ""),
    ("+", ""),
    ("1+2+3", "123"),
    ("9" * 100, "9" * translate.NUMBER_LIMIT),
])  # fmt: skip
def test_numbers_are_digits_or_nothing(text: str, number: str) -> None:
    assert translate.clean_number(text) == number


@pytest.mark.parametrize(("text", "microseconds"), [
    ("1767225600", 1767225600000000),
    ("1767225600.5", 1767225600500000),
    ("1767225600.123456789", 1767225600123456),
    ("", None), ("-1", None), ("1e9", None), ("1767225600.", None),
])  # fmt: skip
def test_first_arrival_is_read_exactly(text: str, microseconds: int | None) -> None:
    assert translate.epoch_seconds(text) == microseconds


def test_caller_comes_with_first_arrival_and_clean_texts() -> None:
    came = note(
        "StasisStart",
        args=["inbound", "trunk", "+254700000001", "1767225600.25"],
        channel=channel(number="+254711000001", caller="W\x07"),
    )
    assert came == s.CallerCame(
        node="a",
        channel="1.1",
        trunk="trunk",
        dialled="+254700000001",
        first_arrival=1767225600250000,
        number="+254711000001",
        name="W",
    )


def test_arrival_without_a_time_is_the_channels_creation() -> None:
    came = note("StasisStart", args=["inbound", "trunk", "+1"], channel=channel())
    assert isinstance(came, s.CallerCame) and came.first_arrival == 1767225600500000


def test_other_entries_and_other_applications_say_nothing() -> None:
    assert note("StasisStart", args=["leg"], channel=channel()) is None
    assert note("StasisStart", args=["inbound", "t", "1"], channel=channel(), application="x") is None
    assert note("ChannelStateChange", channel=channel(state="Ringing")) is None


def test_endings_carry_their_cause_and_soft_ones_none() -> None:
    assert note("ChannelDestroyed", channel=channel(), cause=17) == s.ChannelEnded(
        node="a", channel="1.1", cause=17
    )
    assert note("ChannelHangupRequest", channel=channel(), cause=32) == s.HangUpSeen(
        node="a", channel="1.1", cause=0
    )
    assert note("StasisEnd", channel=channel()) == s.ChannelLeft(node="a", channel="1.1")


@pytest.mark.parametrize("kind", ["PeerStatusChange", "ContactStatusChange"])
def test_phones_are_reachable_by_the_endpoints_state(kind: str) -> None:
    seen = note(kind, endpoint={"technology": "PJSIP", "resource": "d0123456789ab", "state": "online"})
    assert seen == s.DeviceSeen(node="a", endpoint=Endpoint("d0123456789ab"), reachable=True)
    assert note(kind, endpoint={"technology": "PJSIP", "resource": "trunk", "state": "online"}) is None


def test_caller_of_a_list_is_the_caller_of_the_event() -> None:
    listed = wire.decode_as(
        wire.Channel,
        msgspec.json.encode(
            channel(number="+254711000001")
            | {"dialplan": {"app_name": "Stasis", "app_data": "murima-0,inbound,trunk,+1,1767225600.25"}}
        ),
    )
    found = translate.caller_in_list(translate.channel_seen(listed, APP), "a")
    assert found == note(
        "StasisStart",
        args=["inbound", "trunk", "+1", "1767225600.25"],
        channel=channel(number="+254711000001"),
    )


# --- commands -----------------------------------------------------------------------------------------


def uris(command: c.SwitchCommand, shown: str = "") -> list[str]:
    made = commands.requests(command, application=APP, shown=shown)
    return [f"{request.method} {request.uri}" for request in made]


def test_bridge_stops_music_joins_and_lifts_the_time_out() -> None:
    wanted = c.Bridge(call=CALL, bridge=bridge(CALL, 3), channel="1.1", leg=part(CALL, 2))
    assert uris(wanted) == [
        f"POST bridges/{CALL}.3",
        "DELETE channels/1.1/moh",
        f"POST bridges/{CALL}.3/addChannel",
        "POST channels/1.1/variable",
    ]


def test_hold_takes_the_caller_out_plays_music_and_arms_the_time_out() -> None:
    wanted = c.HoldCaller(call=CALL, bridge=bridge(CALL, 3), channel="1.1", music="default")
    made = commands.requests(wanted, application=APP, shown="")
    assert [request.uri.rsplit("/", 1)[1] for request in made] == ["removeChannel", "moh", "variable"]
    assert made[-1].body == {"variable": "TIMEOUT(absolute)", "value": "90"}


@pytest.mark.parametrize("kind", [c.AnswerCaller, c.HangUpCaller, c.Divert])
@pytest.mark.parametrize("name", ["", "../x", "1.1?x", "1.1/moh", "a b", "1" * 200, "%2e"])
def test_channel_of_a_strange_form_is_refused(kind: type, name: str) -> None:
    with pytest.raises(commands.Refused):
        uris(kind(call=CALL, channel=name))


# --- devices ------------------------------------------------------------------------------------------


def test_device_is_described_without_its_secret_and_marked_by_content() -> None:
    name = Endpoint("d0123456789ab")
    made = [
        provision.wanted(
            TenantId("t_aaaaaaaaaaaa"), Device(endpoint=name, kind=kind, digest=digest(name, secret))
        )
        for kind in DeviceKind
        for secret in ("one", "two")
    ]
    assert len({each.mark for each in made}) == 4
    assert [kind for kind, _ in made[0].objects] == ["auth", "aor", "endpoint"]
    assert made[0].objects[2][1]["webrtc"] == "yes"


def test_digest_of_a_wrong_form_is_refused() -> None:
    with pytest.raises(ValueError, match="32 hexadecimal"):
        provision.wanted(
            TenantId("t_aaaaaaaaaaaa"),
            Device(endpoint=Endpoint("d0123456789ab"), kind=DeviceKind.SIP, digest="plain secret"),
        )


@pytest.mark.parametrize(("text", "fine"), [
    ("22.10.1+dfsg+~cs6.17", True), ("22.11.0", True), ("23.0.0", True),
    ("22.10.0", False), ("22.9.9", False), ("20.20.0", False), ("", False), ("GIT-master", False),
])  # fmt: skip
def test_version_gate(text: str, fine: bool) -> None:
    if fine:
        check_version(text)
    else:
        with pytest.raises(s.SwitchTooOld, match=r"needs 22\.10\.1"):
            check_version(text)


def test_who_is_turned_away_hears_that_we_are_closed_and_who_is_diverted_reaches_the_fallback() -> None:
    for kind, context in ((c.TurnAway, "murima-announce"), (c.Divert, "murima-return")):
        (made,) = commands.requests(kind(call=CALL, channel="1.1"), application=APP, shown="")
        assert made.uri == "channels/1.1/continue"
        assert made.body == {"context": context, "extension": "s", "priority": 1}
