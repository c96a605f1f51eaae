"""The adapter against an ARI: the first half runs on the fake and on a real Asterisk alike."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable

import pytest

from deployment.dev.stack import Stack
from telephony.adapters.ari import meters
from telephony.adapters.ari.feed import FRAME_LIMIT, Feed
from telephony.adapters.ari.switch import AriSwitch
from telephony.contract.ids import CallId, Endpoint, LegId, PartyId, TenantId, bridge, part
from telephony.contract.roster import Device, DeviceKind
from telephony.engine import commands as c
from telephony.ports.switch import (
    LANES,
    CallerCame,
    ChannelLeft,
    DeviceSeen,
    Doubt,
    LegRefused,
    Note,
    Replaced,
    SwitchDown,
    SwitchError,
    SwitchTooOld,
    SwitchUp,
)
from tests.fakes.ari_server import FakeAri
from tests.fakes.publication import digest
from tests.system.kit.sip import Agent, Caller

TENANT = TenantId("t_aaaaaaaaaaaa")
STARTED: dict[str, object] = {
    "type": "StasisStart",
    "application": "murima-0",
    "args": ["inbound", "trunk", "+254700000001", "1767225600.5"],
    "channel": {
        "id": "1767225600.1",
        "state": "Ring",
        "creationtime": "2026-01-01T00:00:00.500+0000",
        "caller": {"number": "+254711000001", "name": "Wanjiru"},
    },
}


class Listener:
    """Takes the notes of a switch as the shell does."""

    def __init__(self, switch: AriSwitch) -> None:
        self.switch = switch
        self.notes: list[Note] = []
        self._some = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for note in self.switch.notes():
            self.notes.append(note)
            self._some.set()

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                if self.task.done():
                    self.task.result()
                self._some.clear()
                waiting = asyncio.create_task(self._some.wait())
                await asyncio.wait({waiting, self.task}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()

    async def until_note(self, kind: type, count: int = 1, seconds: float = 5.0) -> None:
        await self.until(lambda: sum(isinstance(each, kind) for each in self.notes) >= count, seconds)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.switch.close()


def call() -> CallId:
    return CallId(str(uuid.uuid4()))


def ring(of: CallId, endpoint: str, n: int = 2) -> c.RingAgent:
    return c.RingAgent(call=of, leg=part(of, n), endpoint=Endpoint(endpoint), seconds=5, party=PartyId("p"))


@pytest.fixture
async def fake() -> AsyncIterator[FakeAri]:
    made = FakeAri()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def listener(fake: FakeAri) -> AsyncIterator[Listener]:
    made = Listener(AriSwitch(url=fake.url, user="u", password="p", shard="0", node="a"))
    await made.until_note(SwitchUp)
    yield made
    await made.close()


# --- on both ------------------------------------------------------------------------------------------


@pytest.fixture(params=["fake", pytest.param("asterisk", marks=pytest.mark.asterisk)])
async def either(request: pytest.FixtureRequest) -> AsyncIterator[Listener]:
    """A connected switch: on the fake, and on a real Asterisk."""
    if request.param == "fake":
        server = FakeAri()
        await server.start()
        switch = AriSwitch(url=server.url, user="u", password="p", shard="0", node="a")
    else:
        stack: Stack = request.getfixturevalue("stack")
        request.getfixturevalue("stack_asterisk")
        switch = AriSwitch(
            url=stack.asterisk.ari, user="murima", password=stack.keys["ari"], shard="0", node="a"
        )
    made = Listener(switch)
    await made.until_note(SwitchUp)
    yield made
    await made.close()
    if request.param == "fake":
        await server.stop()


async def test_command_about_a_gone_channel_fails_with_404(either: Listener) -> None:
    with pytest.raises(SwitchError) as error:
        await either.switch.carry_out(c.AnswerCaller(call=call(), channel="1700000000.1"), 0, "")
    assert error.value.status == 404


async def test_ending_what_is_gone_is_done(either: Listener) -> None:
    of = call()
    for lane in range(8):
        await either.switch.carry_out(c.HangUpLeg(call=of, leg=part(of, 2)), lane, "")
    await either.switch.carry_out(c.DestroyBridge(call=of, bridge=bridge(of, 3)), 1, "")
    await either.switch.hang_up("1700000000.1")
    await either.switch.give_back("1700000000.1")


async def test_unregistered_phone_refuses_the_leg(either: Listener) -> None:
    with pytest.raises(LegRefused):
        await either.switch.carry_out(ring(call(), "dfffffffffff0"), 3, "x")


async def test_bridge_made_twice_is_made_once(either: Listener) -> None:
    of = call()
    wanted = c.Bridge(call=of, bridge=bridge(of, 3), channel="1700000000.1", leg=part(of, 2))
    for _ in range(2):
        with pytest.raises(SwitchError) as error:  # nobody is there to be joined; the bridge is, all the same
            await either.switch.carry_out(wanted, 2, "")
        assert error.value.status != 409
    assert [each.ours for each in await either.switch.bridges() if each.id == wanted.bridge] == [True]
    await either.switch.destroy_bridge(wanted.bridge)
    for _ in range(100):  # Asterisk's list follows its bridges a moment later
        left = [each.id for each in await either.switch.bridges()]
        if wanted.bridge not in left:
            break
        await asyncio.sleep(0.05)
    assert wanted.bridge not in left


async def test_device_is_written_once_and_withdrawn(either: Listener) -> None:
    name = Endpoint("dfeedfeedfeed")
    device = Device(endpoint=name, kind=DeviceKind.BROWSER, digest=digest(name, "one"))
    await either.switch.withdraw(name)
    assert await either.switch.provision(TENANT, device)
    assert not await either.switch.provision(TENANT, device)
    changed = Device(endpoint=name, kind=DeviceKind.BROWSER, digest=digest(name, "two"))
    assert await either.switch.provision(TENANT, changed)
    assert (await either.switch.devices())[name] is False
    await either.switch.withdraw(name)
    assert name not in await either.switch.devices()


async def test_ping_comes_back_on_the_event_socket(either: Listener) -> None:
    await asyncio.wait_for(either.switch.ping(), 5)


async def test_lease_is_set_from_the_switchs_own_clock(either: Listener) -> None:
    await either.switch.renew_lease(3)


async def test_newcomer_replaces_and_is_told_apart(either: Listener) -> None:
    second = Listener(
        AriSwitch(
            url=either.switch._http._base.removesuffix("/ari/"),
            user="murima",
            password=_password(either.switch),
            shard="0",
            node="a",
        )
    )
    await second.until_note(SwitchUp)
    await either.until_note(Replaced)
    with pytest.raises(SwitchError) as error:  # a replaced socket still carries commands: events are fenced
        await either.switch.carry_out(c.AnswerCaller(call=call(), channel="1700000000.1"), 0, "")
    assert error.value.status == 404
    await second.close()


def _password(switch: AriSwitch) -> str:
    import base64

    token = switch._http._headers["Authorization"].split()[1]
    return base64.b64decode(token).decode().split(":", 1)[1]


# --- on a real Asterisk only ------------------------------------------------------------------------------


async def listening(stack: Stack, node: str = "a") -> Listener:
    """A listener on the run's Asterisk, once that is up; whoever asks closes it."""
    made = Listener(
        AriSwitch(url=stack.asterisk.ari, user="murima", password=stack.keys["ari"], shard="0", node=node)
    )
    await made.until_note(SwitchUp)
    return made


@pytest.mark.asterisk
@pytest.mark.timeout(60)
async def test_provisioned_phone_registers_with_the_digest_and_is_seen(
    stack: Stack, stack_asterisk: object
) -> None:
    listener = await listening(stack)
    name = Endpoint("dfeedfeedfeed")
    device = Device(endpoint=name, kind=DeviceKind.SIP, digest=digest(name, "right"))
    await listener.switch.provision(TENANT, device)
    registrar = ("127.0.0.1", stack.ports["sip"])
    with pytest.raises(ConnectionError):
        async with Agent(registrar, name, "wrong"):
            pass
    async with Agent(registrar, name, "right"):
        await listener.until(lambda: _reached(listener, name) is True)
        assert (await listener.switch.devices())[name]
    await listener.until(lambda: _reached(listener, name) is False)
    await listener.switch.withdraw(name)
    await listener.close()


@pytest.mark.asterisk
@pytest.mark.timeout(60)
async def test_what_is_pushed_is_in_force_at_once(stack: Stack, stack_asterisk: object) -> None:
    """Asterisk keeps phones in a cache before its database; what is written goes past neither."""
    listener = await listening(stack)
    name = Endpoint("dfeedfeedcace")
    registrar = ("127.0.0.1", stack.ports["sip"])
    before = "never"
    for secret in ("first", "second"):
        device = Device(endpoint=name, kind=DeviceKind.SIP, digest=digest(name, secret))
        assert await listener.switch.provision(TENANT, device)
        assert not await listener.switch.provision(TENANT, device)
        with pytest.raises(ConnectionError):
            async with Agent(registrar, name, before):
                pass
        async with Agent(registrar, name, secret):
            await listener.until(lambda: _reached(listener, name) is True)
        await listener.until(lambda: _reached(listener, name) is False)
        before = secret
    await listener.switch.withdraw(name)
    with pytest.raises(ConnectionError):
        async with Agent(registrar, name, before):
            pass
    assert name not in await listener.switch.devices()
    await listener.close()


def _reached(listener: Listener, name: Endpoint) -> bool | None:
    seen = [
        each.reachable for each in listener.notes if isinstance(each, DeviceSeen) and each.endpoint == name
    ]
    return seen[-1] if seen else None


@pytest.mark.asterisk
@pytest.mark.timeout(60)
async def test_legs_are_dialled_at_the_first_try(stack: Stack, stack_asterisk: object) -> None:
    """Asterisk takes a dial as soon as it has told of the leg's entry: nothing is asked in vain."""
    name = Endpoint("dfeedfeedfeee")
    listener = await listening(stack, node="early")
    device = Device(endpoint=name, kind=DeviceKind.SIP, digest=digest(name, "pw"))
    await listener.switch.provision(TENANT, device)
    async with Agent(("127.0.0.1", stack.ports["sip"]), name, "pw"):
        await listener.until(lambda: _reached(listener, name) is True)
        for n in range(20):
            wanted = ring(call(), name)
            await listener.switch.carry_out(wanted, n % LANES, "+254711000001")
            await listener.switch.hang_up(wanted.leg)
    assert meters.REQUESTS.labels("early", "early")._value.get() <= 1
    await listener.switch.withdraw(name)
    await listener.close()


@pytest.mark.asterisk
@pytest.mark.timeout(60)
async def test_order_of_a_callers_events(stack: Stack, stack_asterisk: object) -> None:
    listener = await listening(stack)
    await listener.switch.renew_lease(3)
    before = time.time()
    async with Caller(("127.0.0.1", stack.ports["sip"])) as caller:
        outgoing = await caller.dial("+254700000001", display="Wanjiru", sound=False)
        await listener.until_note(CallerCame)
        came = next(each for each in listener.notes if isinstance(each, CallerCame))
        assert (came.dialled, came.trunk, came.name) == ("+254700000001", "trunk", "Wanjiru")
        assert abs(came.first_arrival / 1e6 - before) < 15
        seen = [each for each in await listener.switch.channels() if each.id == came.channel]
        assert listener.switch.caller(seen[0]) == came
        of = call()
        await listener.switch.carry_out(c.AnswerCaller(call=of, channel=came.channel), 0, "")
        await outgoing.answered()
        await outgoing.hang_up()
    await listener.until_note(ChannelLeft)
    names = [type(each).__name__ for each in listener.notes if getattr(each, "channel", "") == came.channel]
    assert names.index("CallerCame") < names.index("ChannelUp") < names.index("HangUpSeen")
    assert names.index("HangUpSeen") < names.index("ChannelLeft")
    await listener.close()


@pytest.mark.asterisk
@pytest.mark.timeout(90)
async def test_asterisk_survives_phones_that_report_while_the_daemon_disconnects(
    stack: Stack, stack_asterisk: object
) -> None:
    """Without the anchor this kills Asterisk within a few rounds."""
    stack.keeper.wait_ready("asterisk", 10)
    started = stack.keeper.status()["asterisk"]["pid"]
    names = [Endpoint(f"dfeedfeed{n:04x}") for n in range(8)]
    setup = await listening(stack)
    for name in names:
        device = Device(endpoint=name, kind=DeviceKind.SIP, digest=digest(name, "pw"))
        await setup.switch.provision(TENANT, device)
    await setup.close()
    phones = [Agent(("127.0.0.1", stack.ports["sip"]), name, "pw") for name in names]
    for phone in phones:
        await phone.__aenter__()
    for n in range(40):
        listener = await listening(stack)
        storm = [asyncio.create_task(_come_and_go(phone)) for phone in phones]
        await asyncio.sleep(0.002 * (n % 10))
        await listener.close()
        await asyncio.gather(*storm)
    for phone in phones:
        await phone.__aexit__()
    assert stack.keeper.status()["asterisk"]["pid"] == started


async def _come_and_go(phone: Agent) -> None:
    for expires in (0, 300, 0, 300):
        await phone.register(expires)


# --- on the fake only: what a real one does not do on demand ----------------------------------------------


async def test_old_asterisk_is_refused_with_what_to_do(fake: FakeAri) -> None:
    fake.version = "22.10.0"
    listener = Listener(AriSwitch(url=fake.url, user="u", password="p", shard="0", node="a"))
    with pytest.raises(SwitchTooOld, match=r"22\.10\.1 or newer"):
        await listener.until_note(SwitchUp)
    await listener.close()


async def test_bad_frames_are_counted_and_change_nothing(fake: FakeAri, listener: Listener) -> None:
    kinds = ("malformed", "oversized", "unknown")
    before = {kind: _dropped(kind) for kind in kinds}
    await fake.frame("{not json")
    await fake.frame('["a list"]')
    await fake.frame({**STARTED, "channel": {"id": 7}})
    await fake.frame(
        {**STARTED, "channel": {"id": "1.1", "creationtime": "yesterday"}, "args": ["inbound", "t", "1"]}
    )
    await fake.frame('{"type": "x", "padding": "' + "x" * FRAME_LIMIT + '"}')
    await fake.frame({"type": "SomethingNew"})
    await fake.frame(STARTED)
    await listener.until_note(CallerCame)
    assert [_dropped(kind) - before[kind] for kind in kinds] == [4, 1, 1]
    assert [type(each) for each in listener.notes] == [SwitchUp, CallerCame]


def _dropped(kind: str) -> float:
    value: float = meters.DROPPED.labels("a", kind)._value.get()
    return value


async def test_cut_connection_is_made_again(fake: FakeAri, listener: Listener) -> None:
    fake.cut()
    await listener.until_note(SwitchUp, 2)
    assert [type(each) for each in listener.notes] == [SwitchUp, SwitchDown, SwitchUp]
    await fake.frame(STARTED)
    await listener.until_note(CallerCame)


async def test_pong_waits_for_everything_before_it(fake: FakeAri, listener: Listener) -> None:
    for n in range(50):
        await fake.frame({**STARTED, "channel": {**STARTED["channel"], "id": f"1.{n}"}})  # type: ignore[dict-item]
    await listener.switch.ping()
    assert sum(isinstance(each, CallerCame) for each in listener.notes) == 50


async def test_unanswered_ping_fails(
    fake: FakeAri, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telephony.adapters.ari.feed.PING_DEADLINE", 0.2)
    fake.pongs = False
    with pytest.raises(SwitchError):
        await listener.switch.ping()


async def test_silent_connection_is_given_up(fake: FakeAri, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telephony.adapters.ari.feed.PING_SECONDS", 0.1)
    monkeypatch.setattr("telephony.adapters.ari.feed.DEAD_SECONDS", 0.3)
    fake.pongs = False
    listener = Listener(AriSwitch(url=fake.url, user="u", password="p", shard="0", node="a"))
    await listener.until_note(SwitchUp, 2, seconds=10)
    await listener.close()


async def test_overflow_becomes_a_doubt(fake: FakeAri) -> None:
    switch = AriSwitch(url=fake.url, user="u", password="p", shard="0", node="a")
    switch._feed = Feed(switch._http, "murima-0", "a", switch._prepare, capacity=5)
    notes = switch.notes()
    assert isinstance(await anext(notes), SwitchUp)
    for n in range(30):
        await fake.frame({**STARTED, "channel": {**STARTED["channel"], "id": f"1.{n}"}})  # type: ignore[dict-item]
    await fake.frame({"type": "last"})
    lost = _dropped("overflow")
    while _dropped("overflow") == lost or len(switch._feed._items) < 5:
        await asyncio.sleep(0.01)
        if switch._feed._overflowed:
            break
    seen = [await anext(notes) for _ in range(6)]
    assert [type(each) for each in seen] == [CallerCame] * 5 + [Doubt]
    await notes.aclose()  # type: ignore[attr-defined]
    await switch.close()


async def test_request_without_answer_fails_in_time_and_the_lane_goes_on(
    fake: FakeAri, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telephony.adapters.ari.control.DEADLINE", 0.2)
    of = call()
    fake.silent = True
    with pytest.raises(SwitchError) as error:
        await listener.switch.carry_out(c.HangUpLeg(call=of, leg=part(of, 2)), 0, "")
    assert error.value.status == 0
    fake.silent = False
    monkeypatch.setattr("telephony.adapters.ari.control.DEADLINE", 2.0)
    await listener.switch.carry_out(c.HangUpLeg(call=of, leg=part(of, 2)), 0, "")


async def test_cut_control_socket_is_opened_again_within_the_command(
    fake: FakeAri, listener: Listener
) -> None:
    of = call()
    fake.cut("murima-0-ctl-4")
    await listener.switch.carry_out(c.HangUpLeg(call=of, leg=part(of, 2)), 4, "")
    assert fake.requests[-1][:2] == ("DELETE", f"channels/{of}.2")


async def test_command_on_a_lane_that_died_without_a_word_is_sent_again(
    fake: FakeAri, listener: Listener
) -> None:
    of = call()
    await listener.switch.carry_out(c.HangUpLeg(call=of, leg=part(of, 2)), 4, "")
    fake.deafen("murima-0-ctl-4")
    await listener.switch.carry_out(c.HangUpLeg(call=of, leg=part(of, 3)), 4, "")
    assert fake.requests[-1][:2] == ("DELETE", f"channels/{of}.3")


async def test_all_lanes_are_new_after_a_reconnect(fake: FakeAri, listener: Listener) -> None:
    lanes = [f"murima-0-ctl-{k}" for k in range(LANES)]
    before = [fake.sockets[lane] for lane in lanes]
    fake.deafen(*lanes)
    fake.cut()
    await listener.until_note(SwitchUp, 2)
    assert all(fake.sockets[lane] is not old for lane, old in zip(lanes, before, strict=True))


async def test_leg_that_has_not_entered_yet_is_dialled_again(fake: FakeAri, listener: Listener) -> None:
    fake.registered["d0123456789ab"] = "online"
    fake.late_entries = 3
    await listener.switch.carry_out(ring(call(), "d0123456789ab"), 0, "x")
    dials = [uri for _, uri, _ in fake.requests if uri.endswith("/dial")]
    assert len(dials) == 4


async def test_leg_is_dialled_when_it_has_entered_and_not_before(fake: FakeAri, listener: Listener) -> None:
    fake.registered["d0123456789ab"] = "online"
    wanted = ring(call(), "d0123456789ab")
    ringing = asyncio.create_task(listener.switch.carry_out(wanted, 0, "x"))
    async with asyncio.timeout(5):
        while wanted.leg not in fake.channels:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await fake.frame(STARTED)  # somebody else's entry
    await listener.until_note(CallerCame)
    assert not ringing.done() and fake.requests[-1][1] == "channels/create"
    await fake.frame(STARTED | {"args": ["leg"], "channel": fake.channels[wanted.leg]})
    await ringing
    assert fake.requests[-1][1] == f"channels/{wanted.leg}/dial"


async def test_leg_whose_entry_is_not_heard_of_is_dialled_all_the_same(
    fake: FakeAri, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telephony.adapters.ari.entries.WITHIN", 0.001)
    fake.registered["d0123456789ab"] = "online"
    wanted = ring(call(), "d0123456789ab")
    await listener.switch.carry_out(wanted, 0, "x")
    assert fake.requests[-1][1] == f"channels/{wanted.leg}/dial"


async def test_leg_ordered_twice_is_made_once(fake: FakeAri, listener: Listener) -> None:
    fake.registered["d0123456789ab"] = "online"
    wanted = ring(call(), "d0123456789ab")
    for _ in range(2):
        await listener.switch.carry_out(wanted, 0, "x")
    assert [each["id"] for each in fake.channels.values()] == [wanted.leg]


async def test_leg_that_never_enters_fails(
    fake: FakeAri, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telephony.adapters.ari.switch.ENTRY_TRIES", 3)
    fake.registered["d0123456789ab"] = "online"
    fake.late_entries = 100
    with pytest.raises(SwitchError) as error:
        await listener.switch.carry_out(ring(call(), "d0123456789ab"), 0, "x")
    assert error.value.status == 409


async def test_hostile_ids_never_leave(fake: FakeAri, listener: Listener) -> None:
    sent = len(fake.requests)
    hostile = "1.1/../../asterisk/modules/x.so?a=b"
    for command in (
        c.AnswerCaller(call=call(), channel=hostile),
        c.HangUpLeg(call=call(), leg=LegId(hostile)),
        c.StartMusic(call=call(), channel="1.1", music="a&b"),
        c.SendDigits(call=call(), channel="1.1", digits="1\r\n"),
        ring(call(), "d0123456789ab@evil"),
    ):
        with pytest.raises(SwitchError) as error:
            await listener.switch.carry_out(command, 0, "")
        assert error.value.status == 400
    assert len(fake.requests) == sent
