"""Comparing lists with floors: what counts at once, what needs a second look, what is left alone."""

import uuid

from telephony.contract.ids import AgentId, BridgeId, CallId, Endpoint, LegId, PartyId, QueueId, TenantId
from telephony.contract.view import CallState, CallView, OfferView, View
from telephony.engine import commands as c
from telephony.engine import events as e
from telephony.ports.switch import BridgeSeen, ChannelSeen
from telephony.shell.directory import Directory
from telephony.shell.reconcile import Found, Reconciler

TENANT = TenantId("t_aaaaaaaaaaaa")
CALL = CallId(str(uuid.UUID(int=7)))
CHANNEL = "1700000000.1"
LEG, BRIDGE = LegId(f"{CALL}.2"), BridgeId(f"{CALL}.3")


def channel(name: str, state: str = "Up", inside: bool = True, *args: str, context: str = "c") -> ChannelSeen:
    return ChannelSeen(
        id=name,
        state=state,
        created=1,
        in_application=inside,
        context=context,
        arguments=args,
        number="",
        name="",
    )


class Bench:
    """A floor with one call, and a reconciler that sees it."""

    def __init__(self, state: CallState) -> None:
        self.call = CallView(
            call=CALL,
            channel=CHANNEL,
            leg=LegId(f"{CALL}.1"),
            node="a",
            trunk="t",
            number="n",
            party=PartyId("p"),
            arrived=1,
            state=state,
        )
        self.view = View(tenant=TENANT, calls={CALL: self.call})
        self.directory = Directory()
        self.directory.load(self.view)
        self.busy: set[CallId] = set()
        self.reconciler = Reconciler("a", self.directory, lambda call: call in self.busy)

    def offered(self) -> "Bench":
        self.call.offer = OfferView(
            offer=LEG,
            agent=AgentId("x"),
            endpoint=Endpoint("d0123456789ab"),
            queue=QueueId("q"),
            attempt=1,
            made=1,
            deadline=2,
            returning=False,
        )
        return self

    def talking(self) -> "Bench":
        self.call.agent, self.call.agent_leg, self.call.bridge = AgentId("x"), LEG, BRIDGE
        return self

    def look(
        self, moment: float, *channels: ChannelSeen, bridges: tuple[BridgeSeen, ...] = (), rearm: bool = False
    ) -> Found:
        return self.reconciler.compare([self.view], list(channels), list(bridges), moment, rearm)


def events(found: Found) -> list[e.Event]:
    return [event for _, event in found.events]


def bridged(*members: str, name: str = BRIDGE, ours: bool = True) -> tuple[BridgeSeen, ...]:
    return (BridgeSeen(id=name, channels=members, ours=ours),)


def test_what_agrees_says_nothing() -> None:
    bench = Bench(CallState.TALKING).talking()
    found = bench.look(0, channel(CHANNEL), channel(LEG), bridges=bridged(CHANNEL, LEG))
    assert found == Found()


def test_absence_counts_only_the_second_time_a_second_later() -> None:
    bench = Bench(CallState.WAITING)
    assert events(bench.look(10.0)) == []
    assert bench.look(10.9).suspects == 1
    assert events(bench.look(11.0)) == [e.CallerGone(call=CALL, missing=True)]


def test_absence_is_forgotten_when_the_channel_is_seen_again() -> None:
    bench = Bench(CallState.WAITING)
    bench.look(0.0)
    bench.look(0.5, channel(CHANNEL))
    assert events(bench.look(1.2)) == []


def test_caller_who_is_in_the_dialplan_has_left() -> None:
    bench = Bench(CallState.WAITING)
    gate = channel(CHANNEL, "Up", False, context="murima-gate")
    assert bench.look(0.0, gate).gate == 1
    assert events(bench.look(1.0, gate)) == [e.CallerGone(call=CALL, diverted=True)]


def test_leg_that_was_answered_unseen_is_told_at_once() -> None:
    bench = Bench(CallState.WAITING).offered()
    found = bench.look(0, channel(CHANNEL), channel(LEG))
    assert events(found) == [e.LegAnswered(call=CALL, leg=LEG)]


def test_missing_leg_is_told_after_confirmation() -> None:
    bench = Bench(CallState.TALKING).talking()
    bench.look(0, channel(CHANNEL))
    assert events(bench.look(1, channel(CHANNEL))) == [e.LegGone(call=CALL, leg=LEG, missing=True)]


def test_two_who_should_talk_are_joined_again() -> None:
    bench = Bench(CallState.TALKING).talking()
    for moment in (0.0, 1.0):
        found = bench.look(moment, channel(CHANNEL), channel(LEG), bridges=bridged(LEG))
    assert found.resend == [c.Bridge(call=CALL, bridge=BRIDGE, channel=CHANNEL, leg=LEG)]


def test_call_with_commands_on_their_way_is_left_alone() -> None:
    bench = Bench(CallState.TALKING).talking()
    bench.busy.add(CALL)
    for moment in (0.0, 5.0):
        found = bench.look(moment, bridges=bridged(LEG))
    assert found == Found(busy=1), "it is looked at again"


def test_unanswered_caller_is_answered_and_gets_music() -> None:
    bench = Bench(CallState.WAITING)
    bench.look(0, channel(CHANNEL, "Ring"))
    found = bench.look(1, channel(CHANNEL, "Ring"))
    assert found.resend == [c.AnswerCaller(call=CALL, channel=CHANNEL)]
    assert [type(event) for event in events(found)] == [e.CallerEntered]


def test_after_a_start_waiting_callers_are_rearmed() -> None:
    found = Bench(CallState.WAITING).look(0, channel(CHANNEL), rearm=True)
    assert [type(event) for event in events(found)] == [e.CallerEntered]


def test_unknown_caller_in_our_application_is_a_newcomer() -> None:
    stranger = channel("1700000000.9", "Up", True, "inbound", "trunk", "+1", "1")
    found = Bench(CallState.WAITING).look(0, channel(CHANNEL), stranger)
    assert found.newcomers == [stranger]


def test_caller_whose_call_has_just_ended_is_no_newcomer() -> None:
    bench = Bench(CallState.ENDED)
    found = bench.look(0, channel(CHANNEL, "Up", True, "inbound", "trunk", "+1", "1"))
    assert found.newcomers == []


def test_leg_and_bridge_without_an_owner_go_after_confirmation() -> None:
    bench = Bench(CallState.WAITING)
    stray, foreign = f"{uuid.UUID(int=9)}.2", f"{uuid.UUID(int=8)}.3"
    for moment in (0.0, 1.0):
        found = bench.look(
            moment,
            channel(CHANNEL),
            channel(stray, "Up", True, "leg"),
            bridges=(*bridged(name=f"{uuid.UUID(int=9)}.3"), *bridged(name=foreign, ours=False)),
        )
    assert (found.hang_up, found.destroy) == ([stray], [f"{uuid.UUID(int=9)}.3"])


def test_ended_caller_who_is_still_here_goes_after_confirmation() -> None:
    bench = Bench(CallState.ENDED)
    left = channel(CHANNEL, "Up", True, "inbound", "trunk", "+1", "1")
    assert bench.look(0, left).hang_up == []
    assert bench.look(1, left).hang_up == [CHANNEL]


def test_ended_caller_whose_hang_up_is_on_its_way_is_left_alone() -> None:
    bench = Bench(CallState.ENDED)
    bench.busy.add(CALL)
    for moment in (0.0, 1.0):
        found = bench.look(moment, channel(CHANNEL, "Up", True, "inbound", "trunk", "+1", "1"))
    assert found.hang_up == []


def test_held_caller_who_is_still_in_the_bridge_is_held_again() -> None:
    bench = Bench(CallState.HELD).talking()
    for moment in (0.0, 1.0):
        found = bench.look(moment, channel(CHANNEL), channel(LEG), bridges=bridged(CHANNEL, LEG))
    assert [type(event) for event in events(found)] == [e.CallerEntered]
    assert bench.look(2, channel(CHANNEL), channel(LEG), bridges=bridged(LEG)) == Found()


def test_after_a_start_hold_and_mute_are_ordered_again() -> None:
    bench = Bench(CallState.HELD).talking()
    bench.call.muted = True
    found = bench.look(0, channel(CHANNEL), channel(LEG), bridges=bridged(LEG), rearm=True)
    assert [type(event) for event in events(found)] == [e.CallerEntered]
    assert found.resend == [c.MuteLeg(call=CALL, leg=LEG, muted=True)]


def test_leg_that_was_made_and_not_dialled_is_dialled() -> None:
    bench = Bench(CallState.WAITING).offered()
    for moment in (0.0, 1.0):
        found = bench.look(moment, channel(CHANNEL), channel(LEG, "Down"))
    endpoint = Endpoint("d0123456789ab")
    ring = c.RingAgent(call=CALL, leg=LEG, endpoint=endpoint, seconds=1, party=PartyId("p"))
    assert found.resend == [ring]
    assert bench.look(2, channel(CHANNEL), channel(LEG, "Ringing")) == Found()
