"""The fallback's compiler: pure, made of generated names only, robust against one bad row."""

from __future__ import annotations

import itertools

import pytest

from dialplan.checker import check
from dialplan.compiler import compile_fallback, name_of
from dialplan.publish import install
from telephony.contract.hours import ALWAYS, Calendar
from telephony.contract.ids import AgentId, Endpoint, NumberId, QueueId, TenantId
from telephony.contract.policy import FallbackKind, InboundNumber, Manifest, Policy, QueuePolicy
from telephony.contract.roster import Device, DeviceKind, RosterRow
from tests.fakes.dialplan_walk import contexts_of

TENANT = TenantId("t_aaaaaaaaaaaa")
QUEUE = QueueId("11111111-1111-4111-8111-111111111111")
PHONE = Endpoint("d0123456789ab")
HOSTILE = "x\n[murima-gate]\nexten => s,1,System(rm)"


def policy(
    dialled: str = "+254700000001",
    kind: FallbackKind = FallbackKind.QUEUE,
    name: str = "Sales",
    calendar: Calendar | None = None,
) -> Policy:
    queue = QueuePolicy(queue=QUEUE, name=name, ring_seconds=15, fallback=kind, hours=calendar)
    number = InboundNumber(number=NumberId("n"), trunk="trunk", dialled=dialled, queue=QUEUE)
    manifest = Manifest(tenant=TENANT, version=1, queues=((QUEUE, "h"),), numbers=(number,))
    return Policy(hash="h", manifest=manifest, queues={QUEUE: queue})


def agent(phone: str = PHONE, *, active: bool = True) -> RosterRow:
    device = Device(endpoint=Endpoint(phone), kind=DeviceKind.SIP, digest="0" * 32)
    return RosterRow(tenant=TENANT, agent=AgentId("a"), version=1, active=active, memberships=((QUEUE, 0),),
                     devices=(device,))  # fmt: skip


def test_a_queue_has_members_only_while_somebody_is_diverted():
    result = compile_fallback([policy()], [agent()])
    name = name_of(TENANT, QUEUE)
    assert f"exten => +254700000001,1,Goto({name},s,1)" in result.extensions
    assert f"AddQueueMember({name},PJSIP/{PHONE},0)" in result.extensions
    assert f"RemoveQueueMember({name},PJSIP/{PHONE})" in result.extensions
    assert "member" not in result.queues and f"[{name}]" in result.queues
    assert "timeout = 15" in result.queues


@pytest.mark.parametrize("rows", [[], [agent(active=False)], [agent("sales1")]])
def test_without_a_phone_to_ring_the_caller_hears_the_announcement(rows):
    result = compile_fallback([policy()], rows)
    assert "Goto(murima-announce,s,1)" in result.extensions
    assert "Queue(" not in result.extensions


def test_an_announcement_queue_rings_nobody():
    result = compile_fallback([policy(kind=FallbackKind.ANNOUNCEMENT)], [agent()])
    assert "AddQueueMember" not in result.extensions


@pytest.mark.parametrize("dialled", ["+2547,1,System(x)", "abc", "", "+254 700", "1" * 16, HOSTILE])
def test_a_number_outside_the_alphabet_is_left_out_and_said_so_without_its_text(dialled):
    result = compile_fallback([policy(dialled)], [agent()])
    assert len(result.left_out) == 1
    assert not dialled or dialled not in result.extensions + result.left_out[0]


def test_what_people_type_never_reaches_the_text():
    result = compile_fallback([policy(name=HOSTILE)], [agent("d0\nexten")])
    assert "System" not in result.extensions + result.queues
    assert check(result.extensions, generated=True, known=("murima-announce",)) == []


@pytest.mark.parametrize(
    "calendar",
    [
        Calendar("Mars/Olympus", ALWAYS.weekly),
        Calendar("UTC,%s)}\nexten => s,1,System(x)", ALWAYS.weekly),
        Calendar("../UTC", ALWAYS.weekly),
        Calendar("UTC", ((),) * 6),
        Calendar("UTC", ((),) * 7, (("2026-12-25,1,System(x)", ()),)),
        Calendar("UTC", ((),) * 7, (("2026-02-30", ()),)),
        Calendar("UTC", (((60, 2000),),) * 7),
    ],
)
def test_hours_that_cannot_be_said_leave_the_queue_open_and_are_told(calendar):
    result = compile_fallback([policy(calendar=calendar)], [agent()])
    assert len(result.left_out) == 1 and calendar.zone not in result.left_out[0]
    assert result.extensions == compile_fallback([policy()], [agent()]).extensions


def test_whoever_was_not_counted_takes_no_phone_from_the_line():
    name = name_of(TENANT, QUEUE)
    steps = contexts_of(compile_fallback([policy()], [agent()]).extensions)[name]["h"]
    assert steps[0] == f'GotoIf($["${{GROUP(fallback)}}" != "{name}"]?done)'


def test_the_order_of_the_input_does_not_matter():
    other = RosterRow(
        tenant=TENANT,
        agent=AgentId("b"),
        version=1,
        active=True,
        memberships=((QUEUE, 1),),
        devices=(Device(endpoint=Endpoint("dffffffffffff"), kind=DeviceKind.BROWSER, digest=""),),
    )
    texts = {compile_fallback([policy()], rows) for rows in itertools.permutations([agent(), other])}
    assert len(texts) == 1


def test_installing_twice_changes_once(tmp_path):
    result = compile_fallback([policy()], [agent()])
    assert install(result, tmp_path) is True
    assert install(result, tmp_path) is False
    assert sorted(p.name for p in tmp_path.iterdir()) == ["extensions-fallback.conf", "queues-fallback.conf"]
