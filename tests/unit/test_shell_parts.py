"""The shell's small parts: clock, ids, door, executor, directory, interpreter, settings."""

import asyncio
import base64
import itertools
import uuid
from typing import Any

import pytest

from telephony.contract import facts as f
from telephony.contract.clock import SECOND
from telephony.contract.frames import Entry
from telephony.contract.ids import CallId, Endpoint, LegId, NumberId, PartyId, TenantId, bridge, part
from telephony.engine import commands as c
from telephony.engine import events as e
from telephony.ports import switch as s
from telephony.settings import BadSettings, read
from telephony.shell.clock import EngineClock
from telephony.shell.directory import TOMBSTONE, Directory
from telephony.shell.door import Door
from telephony.shell.executor import Executor, lane_of
from telephony.shell.ids import uuid7
from telephony.shell.interpret import GiveBack, Interpreter
from telephony.shell.parties import Parties
from tests.fakes.publication import Publication, policy, row

TENANT = TenantId("t_aaaaaaaaaaaa")
CALL = CallId(str(uuid.UUID(int=7)))
CHANNEL = "1700000000.1"

# --- clock and ids ------------------------------------------------------------------------------------


class Times:
    """A wall clock and a monotonic clock, in nanoseconds, moved by the test."""

    def __init__(self) -> None:
        self.utc, self.mono = 1_000_000_000, 0

    def pass_(self, seconds: float, drift: float = 0.0) -> None:
        self.mono += int(seconds * 1e9)
        self.utc += int((seconds + drift) * 1e9)


def test_clock_follows_the_monotonic_clock_and_ignores_jumps() -> None:
    times = Times()
    clock = EngineClock(0, lambda: times.utc, lambda: times.mono)
    start = clock.now()
    times.pass_(10, drift=-3600)
    assert clock.now() - start == 10 * SECOND


def test_clock_is_slewed_by_at_most_half_a_millisecond_a_second_and_never_goes_back() -> None:
    times = Times()
    clock = EngineClock(0, lambda: times.utc, lambda: times.mono)
    before = clock.now()
    times.pass_(1, drift=-1)
    clock.tick()
    assert SECOND - 500 <= clock.now() - before <= SECOND
    clock.tick()
    assert clock.now() >= clock.last >= before


def test_new_owner_starts_no_earlier_than_the_last_fact() -> None:
    times = Times()
    assert EngineClock(5 * SECOND, lambda: times.utc, lambda: times.mono).now() == 5 * SECOND


def test_uuid7_is_ordered_by_time() -> None:
    made = [uuid7(n * 1000) for n in range(1_700_000_000_000, 1_700_000_000_050)]
    assert made == sorted(made)
    assert {uuid.UUID(each).version for each in made} == {7}
    assert {uuid.UUID(each).variant for each in made} == {uuid.RFC_4122}


# --- door and executor --------------------------------------------------------------------------------


class Hand:
    """A monotonic clock in seconds, moved by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


async def test_door_notices_a_stall_before_anything_else_happens() -> None:
    hand = Hand()
    stalls: list[float] = []
    door = Door(hand)
    door.on_stall = stalls.append
    assert door.check()
    hand.at = 0.9
    assert door.check()
    hand.at = 5.0
    assert not door.check()
    assert stalls == [5.0]
    door.close("away:a")
    door.lift("stall")
    assert door.reasons == ("away:a",)
    door.lift("away:a")
    await asyncio.wait_for(door.passage(), 1)


class Recorder:
    """A switch that notes what it is told, and fails when told to."""

    node = "a"

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.fails: dict[str, Exception] = {}
        self.some = asyncio.Event()

    async def carry_out(self, command: c.SwitchCommand, lane: int, shown: str) -> None:
        self.seen.append((type(command).__name__, lane))
        self.some.set()
        if type(command).__name__ in self.fails:
            raise self.fails[type(command).__name__]

    async def ping(self) -> None:
        self.seen.append(("ping", -1))


class Workshop:
    def __init__(self) -> None:
        self.switch, self.door = Recorder(), Door()
        self.reported: list[e.Event] = []
        self.doubts: list[str] = []
        self.wanted = True
        nodes: Any = {"a": self.switch}
        self.executor = Executor(
            nodes,
            self.door,
            node_of=lambda call: "a",
            shown=lambda ring: "",
            wanted=lambda ring: self.wanted,
            report=lambda call, event: self.reported.append(event),
            doubt=lambda node, why: self.doubts.append(why),
        )

    async def __aenter__(self) -> "Workshop":
        self.task = asyncio.create_task(self.executor.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


RING = c.RingAgent(
    call=CALL, leg=part(CALL, 2), endpoint=Endpoint("d0123456789ab"), seconds=5, party=PartyId("p")
)
ANSWER = c.AnswerCaller(call=CALL, channel=CHANNEL)
MUSIC = c.StartMusic(call=CALL, channel=CHANNEL, music="default")
BRIDGE = c.Bridge(call=CALL, bridge=bridge(CALL, 3), channel=CHANNEL, leg=part(CALL, 2))


async def test_commands_of_a_conversation_keep_their_order_on_one_lane() -> None:
    async with Workshop() as shop:
        shop.executor.submit([RING, ANSWER, MUSIC])
        assert shop.executor.busy(CALL)
        await asyncio.wait_for(shop.executor.drained(), 1)
        assert shop.switch.seen == [
            (name, lane_of(CALL)) for name in ("RingAgent", "AnswerCaller", "StartMusic")
        ]
        assert not shop.executor.busy(CALL)


def another(same_lane: bool) -> CallId:
    others = (CallId(str(uuid.UUID(int=n))) for n in itertools.count(1))
    return next(one for one in others if one != CALL and (lane_of(one) == lane_of(CALL)) == same_lane)


@pytest.mark.parametrize("same_lane", [True, False])
async def test_what_is_cleared_away_lets_a_ring_pass_and_keeps_its_order(same_lane: bool) -> None:
    old = another(same_lane)
    async with Workshop() as shop:
        await asyncio.sleep(0.01)  # every lane waits for work
        clearing: list[c.SwitchCommand] = [
            c.DestroyBridge(call=old, bridge=bridge(old, 3)),
            c.HangUpCaller(call=old, channel="x"),
        ]
        shop.executor.submit([*clearing, RING, MUSIC])
        shop.executor.submit([c.SendDigits(call=old, channel="x", digits="1")])
        assert shop.executor.busy(old)
        await asyncio.wait_for(shop.executor.drained(), 1)
        names = [name for name, _ in shop.switch.seen]
        assert names == ["RingAgent", "StartMusic", "DestroyBridge", "HangUpCaller", "SendDigits"]


async def test_a_legs_end_goes_before_the_ring_of_the_same_step() -> None:
    """It may be the same phone, and one that still rings says busy."""
    old = another(same_lane=True)
    async with Workshop() as shop:
        ends: list[c.SwitchCommand] = [
            c.HangUpLeg(call=old, leg=part(old, 2)),
            c.DestroyBridge(call=old, bridge=bridge(old, 3)),
        ]
        shop.executor.submit([*ends, RING])
        await asyncio.wait_for(shop.executor.drained(), 1)
        assert [name for name, _ in shop.switch.seen] == ["HangUpLeg", "DestroyBridge", "RingAgent"]


async def test_nothing_leaves_through_a_closed_door() -> None:
    async with Workshop() as shop:
        shop.door.close("stall")
        shop.executor.submit([ANSWER])
        for _ in range(20):
            await asyncio.sleep(0)
        assert shop.switch.seen == []
        shop.door.lift("stall")
        await asyncio.wait_for(shop.executor.drained(), 1)
        assert [name for name, _ in shop.switch.seen] == ["AnswerCaller"]


@pytest.mark.parametrize("command", [RING, BRIDGE], ids=lambda command: type(command).__name__)
async def test_ring_whose_offer_is_over_is_not_sent(command: c.SwitchCommand) -> None:
    """Nor is the bridge of a talk that ended before its turn came."""
    async with Workshop() as shop:
        shop.wanted = False
        shop.executor.submit([command])
        await asyncio.wait_for(shop.executor.drained(), 1)
        assert shop.switch.seen == []


async def test_failures_come_back_as_events() -> None:
    async with Workshop() as shop:
        shop.switch.fails = {"RingAgent": s.LegRefused("x", 500), "AnswerCaller": s.SwitchError("x", 404)}
        shop.executor.submit([RING, ANSWER, MUSIC])
        await asyncio.wait_for(shop.executor.drained(), 1)
        assert shop.reported == [
            e.LegGone(call=CALL, leg=part(CALL, 2), cause=20, refused=True),
            e.CommandFailed(call=CALL, part=CALL, what="AnswerCaller", status=404),
        ]
        assert shop.doubts == ["command_failed"]
        names = [name for name, _ in shop.switch.seen]
        assert names == ["RingAgent", "AnswerCaller", "ping", "StartMusic"], "what ended it is heard first"


async def test_a_hang_up_that_is_told_late_is_reported_before_the_failure_that_it_caused() -> None:
    """Asterisk refuses to bridge a channel that just hung up, and tells of its end milliseconds later. Taken
    the other way round, the caller would be kept for an agent who hung up on purpose."""
    async with Workshop() as shop:
        gone = e.LegGone(call=CALL, leg=part(CALL, 2), cause=31)
        refuse = shop.switch.carry_out

        async def tell_late(command: c.SwitchCommand, lane: int, shown: str) -> None:
            asyncio.get_running_loop().call_later(0.005, shop.reported.append, gone)
            await refuse(command, lane, shown)

        shop.switch.carry_out = tell_late  # type: ignore[method-assign]
        shop.switch.fails = {"Bridge": s.SwitchError("x", 422)}
        shop.executor.submit([BRIDGE])
        await asyncio.wait_for(shop.executor.drained(), 1)
        failed = e.CommandFailed(call=CALL, part=BRIDGE.bridge, what="Bridge", status=422)
        assert shop.reported == [gone, failed]


# --- directory and interpreter --------------------------------------------------------------------------


def arrived(seq: int = 1) -> Entry:
    fact = f.CallArrived(
        call=CALL,
        node="a",
        channel=CHANNEL,
        leg=part(CALL, 1),
        trunk="trunk",
        number=NumberId("n1"),
        party=PartyId("p"),
        first_arrival=1,
        policy="",
    )
    return Entry(tenant=TENANT, epoch=1, seq=seq, at=1, fact=fact)


def ended(seq: int = 2) -> Entry:
    return Entry(
        tenant=TENANT, epoch=1, seq=seq, at=2, fact=f.CallEnded(call=CALL, outcome=f.CallOutcome.COMPLETED)
    )


def came(number: str = "+254700000001", trunk: str = "trunk") -> s.CallerCame:
    return s.CallerCame(
        node="a", channel=CHANNEL, trunk=trunk, dialled=number, first_arrival=1, number="+1", name="x"
    )


@pytest.fixture
def directory() -> Directory:
    made = Directory()
    made.policy(policy(TENANT, "+254700000001"))
    made.roster(row(TENANT, "anna", "d0123456789ab"))
    return made


@pytest.fixture
def interpreter(directory: Directory) -> Interpreter:
    return Interpreter(directory, Parties(Publication()))


@pytest.mark.parametrize(("dialled", "trunk", "known"), [
    ("+254700000001", "trunk", True),
    ("254700000001", "trunk", True),
    ("+254700000002", "trunk", False),
    ("+254700000001", "other", False),
])  # fmt: skip
def test_number_and_trunk_lead_to_the_tenant(
    directory: Directory, dialled: str, trunk: str, known: bool
) -> None:
    assert (directory.number(trunk, dialled) == (TENANT, NumberId("n1"))) is known


def test_number_that_left_the_policy_leads_nowhere(directory: Directory) -> None:
    directory.policy(policy(TENANT, "+254700000009", version=2))
    assert directory.number("trunk", "+254700000001") is None


def test_ended_call_is_a_tombstone_for_a_minute(directory: Directory) -> None:
    directory.note([arrived(), ended()])
    assert directory.tenant_of(CALL) == TENANT and directory.ended(CHANNEL)
    directory.forget(2 + TOMBSTONE)
    assert directory.tenant_of(CALL) is None and not directory.ended(CHANNEL)


def test_device_that_left_the_roster_is_named(directory: Directory) -> None:
    devices, gone = directory.roster(row(TENANT, "anna", "d0123456789ac", version=2))
    assert ([each.endpoint for each in devices], gone) == (["d0123456789ac"], ["d0123456789ab"])
    assert "d0123456789ab" not in directory.phones


def test_unknown_number_and_suspended_tenant_are_given_back(
    directory: Directory, interpreter: Interpreter
) -> None:
    assert interpreter.read(came("+1"), 1) == GiveBack(CHANNEL, "unknown_number")
    directory.suspended = frozenset({TENANT})
    assert interpreter.read(came(), 1) == GiveBack(CHANNEL, "suspended")


def test_caller_who_hung_up_is_gone_and_one_who_was_sent_on_is_diverted(
    directory: Directory, interpreter: Interpreter
) -> None:
    directory.note([arrived()])
    left = s.ChannelLeft(node="a", channel=CHANNEL)
    assert interpreter.read(left, 1) == (TENANT, e.CallerGone(call=CALL, diverted=True))
    interpreter.read(s.HangUpSeen(node="a", channel=CHANNEL, cause=16), 1)
    interpreter.read(s.HangUpSeen(node="a", channel=CHANNEL, cause=0), 1)
    assert interpreter.read(left, 1) == (TENANT, e.CallerGone(call=CALL, cause=16))


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (s.ChannelLeft(node="a", channel=CHANNEL), {"diverted": True}),
        (s.ChannelEnded(node="a", channel=CHANNEL, cause=16), {"cause": 16}),
    ],
)
def test_the_end_of_a_caller_may_be_read_before_the_floor_heard_of_the_coming(
    directory: Directory, interpreter: Interpreter, end: s.Note, told: dict[str, Any]
) -> None:
    entered = interpreter.read(came(), 1)
    assert isinstance(entered, tuple) and isinstance(entered[1], e.CallerEntered)
    assert interpreter.read(end, 2) == (TENANT, e.CallerGone(call=entered[1].call, **told))
    assert interpreter.read(end, 3) is None


def test_legs_are_known_by_their_own_ids(directory: Directory, interpreter: Interpreter) -> None:
    directory.note([arrived()])
    leg = LegId(f"{CALL}.2")
    read = [
        interpreter.read(note, 1)
        for note in (
            s.ChannelUp(node="a", channel=leg),
            s.ChannelLeft(node="a", channel=leg),
            s.ChannelEnded(node="a", channel=leg, cause=17),
            s.ChannelUp(node="a", channel=CHANNEL),
            s.ChannelUp(node="a", channel=f"{uuid.UUID(int=99)}.2"),
        )
    ]
    assert read == [
        (TENANT, e.LegAnswered(call=CALL, leg=leg)),
        None,
        (TENANT, e.LegGone(call=CALL, leg=leg, cause=17)),
        None,
        None,
    ]


def test_a_leg_is_over_when_its_hang_up_is_seen_if_the_cause_is_known(
    directory: Directory, interpreter: Interpreter
) -> None:
    directory.note([arrived()])
    leg = LegId(f"{CALL}.2")
    assert interpreter.read(s.HangUpSeen(node="a", channel=leg, cause=0), 1) is None
    gone = (TENANT, e.LegGone(call=CALL, leg=leg, cause=31))
    assert interpreter.read(s.HangUpSeen(node="a", channel=leg, cause=31), 1) == gone
    assert interpreter.read(s.ChannelLeft(node="a", channel=leg), 1) is None
    ended = s.ChannelEnded(node="a", channel=leg, cause=31)
    assert interpreter.read(ended, 1) == gone, "of which the floor knows already"
    assert not interpreter._hints


def test_a_report_about_a_phone_is_newer_than_a_list_asked_for_before(interpreter: Interpreter) -> None:
    phone = Endpoint("d0123456789ab")
    asked = interpreter.reports
    assert not interpreter.reported_since(phone, asked)
    interpreter.read(s.DeviceSeen(node="a", endpoint=phone, reachable=True), 1)
    assert interpreter.reported_since(phone, asked)
    assert not interpreter.reported_since(phone, interpreter.reports)


def test_phones_tell_changes_only(interpreter: Interpreter) -> None:
    phone = Endpoint("d0123456789ab")
    on = s.DeviceSeen(node="a", endpoint=phone, reachable=True)
    assert interpreter.read(on, 1) == (TENANT, e.PhoneChanged(agent="anna", endpoint=phone, reachable=True))  # type: ignore[arg-type]
    assert interpreter.read(on, 1) is None
    assert (
        interpreter.read(s.DeviceSeen(node="a", endpoint=Endpoint("dffffffffffff"), reachable=True), 1)
        is None
    )


# --- settings -----------------------------------------------------------------------------------------

GOOD = {
    "MURIMA_DATABASE_URL": "postgresql://murima_app:x@127.0.0.1:5432/murima",
    "MURIMA_REDIS_URL": "redis://127.0.0.1:6379/0",
    "MURIMA_ASK_KEY": "k",
    "MURIMA_MASTER_KEY": base64.b64encode(bytes(32)).decode(),
    "MURIMA_ARI_URL": "http://127.0.0.1:18088",
    "MURIMA_ARI_USER": "murima",
    "MURIMA_ARI_PASSWORD": "very secret",
    "MURIMA_AMI_URL": "tcp://murima:hidden@127.0.0.1:5038",
}


def test_settings_are_read_and_keep_their_secrets() -> None:
    settings = read(GOOD)
    assert (settings.shard, settings.node, settings.ami and settings.ami.port) == ("0", "a", 5038)
    assert "very secret" not in repr(settings) and "hidden" not in repr(settings)


def test_every_problem_of_the_settings_is_named() -> None:
    with pytest.raises(BadSettings) as error:
        read(
            {
                "MURIMA_MASTER_KEY": "short",
                "MURIMA_ARI_URL": "ftp://x",
                "MURIMA_SHARD": "A/B",
                "MURIMA_TRANSIT_SECONDS": "0",
                "MURIMA_ENV": "x",
            }
        )
    for name in (
        "MASTER_KEY",
        "ARI_URL",
        "SHARD",
        "TRANSIT_SECONDS",
        "ENV",
        "REDIS_URL",
        "DATABASE_DAEMON_URL",
        "ASK_KEY",
        "ARI_USER",
    ):
        assert f"MURIMA_{name}" in str(error.value)
