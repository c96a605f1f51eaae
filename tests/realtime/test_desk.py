"""A desk over the real application, PostgreSQL and Redis; a fake on the bus takes the daemon's place."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.conf import settings

from telephony.contract import asks
from telephony.contract import facts as f
from telephony.contract.facts import OfferOutcome
from tests.fakes.daemon import FakeDaemon
from tests.realtime import log_table
from tests.realtime.client import Client
from tests.realtime.conftest import eventually
from tests.realtime.world import World
from web.shared.core.actor import system
from web.shared.tenants.context import tenant_db

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.redis, pytest.mark.usefixtures("sockets")]
HOSTILE = "<img src=x onerror=alert(1)>\u202e\r\nSet-Cookie: x\u200b"


class Bench:
    """One tenant's floor: people, a world that speaks, a daemon's place on the bus."""

    def __init__(self, tenant, people, stack_redis, key=None, **kwargs):
        """`key` is the shard's, made unless another tenant's bench has it."""
        self.tenant, self.people = tenant, people
        self.key = key or log_table.make_transit_key(1)
        self.world = World(tenant.pk, 11, agents=[each.id for each in people], **kwargs)
        self.daemon = FakeDaemon(stack_redis, tenant.pk, settings.ASK_KEY.encode())
        self.host = f"{tenant.name.lower()}.localhost"

    def client(self, person, **kwargs):
        return Client(host=self.host, cookie=person.cookie, **kwargs)

    async def desk(self, person, **kwargs):
        client = self.client(person, **kwargs)
        assert await client.open() is None
        await client.until("snapshot")
        return client

    async def say(self, count):
        """Put the last entries of the world on the stream, and in the log."""
        entries = self.world.entries[-count:]
        log_table.store(entries)
        await self.daemon.say(entries)

    async def ring(self, person, number="+254700000001", name="Juma"):
        """A caller arrives and is offered to this person; returns the call."""
        call = self.world.arrive()
        log_table.store_party(log_table.seal(self.tenant.pk, call.party, number, name))
        await self.daemon.say([log_table.seal_in_transit(self.key, self.tenant.pk, call.party, number, name)])
        self.world.offer(call, person.id)
        await self.say(3)
        return call


@pytest.fixture
async def bench(tenants, person, stack_redis):
    people = [await person("agent", name="Asha"), await person("agent", name="Baraka")]
    made = Bench(tenants[0], people, stack_redis)
    made.world.open()
    log_table.store(made.world.entries)
    await made.daemon.say(made.world.entries)
    made.daemon.start()
    yield made
    await made.daemon.stop()


async def _contact(tenant, number, **values):
    from web.tenant.contacts.services import contact_create

    return await tenant_db(
        tenant.pk,
        contact_create,
        actor=system("tests"),
        values=values,
        phones=[{"number": number}],
        region="KE",
    )


async def test_an_offer_with_the_contact_on_the_card(bench, tenants):
    asha = bench.people[0]
    client = await bench.desk(asha)
    assert client.mirror.state["agent"]["effective"] == "ready"
    contact = await _contact(tenants[0], "+254700000001", first_name="Juma", last_name="Otieno")
    call = await bench.ring(asha)
    offer = (await client.until("offer.created"))["data"]
    assert offer["call"] == call.call
    assert offer["party"] == {"number": "+254700000001", "name": "Juma"}
    assert offer["arrived_at"].endswith("Z")
    pop = (await client.until("pop"))["data"]
    assert pop["offer"] == offer["id"]
    assert pop["contact"]["id"] == str(contact.pk)
    assert "Otieno" in pop["contact"]["name"]
    assert pop["matches"] == 1
    bench.world.answer(call)
    await bench.say(3)
    withdrawn = (await client.until("offer.withdrawn"))["data"]
    assert withdrawn == {"id": offer["id"], "outcome": "accepted"}
    state = (await client.until("call.state"))["data"]
    assert (state["state"], state["leg"], state["contact"]["id"]) == ("talking", offer["id"], str(contact.pk))
    await client.close()


async def test_hostile_names_are_only_text(bench):
    client = await bench.desk(bench.people[0])
    await bench.ring(bench.people[0], number="+254700000001", name=HOSTILE)
    offer = (await client.until("offer.created"))["data"]
    assert offer["party"]["name"] == "<img src=x onerror=alert(1)> Set-Cookie: x"
    pop = (await client.until("pop"))["data"]
    assert pop["party"] == offer["party"]
    await client.close()


async def test_two_tenants_see_nothing_of_each_other(bench, tenants, person, stack_redis):
    canary = await person("agent", tenant=tenants[1], name="Canary")
    other = Bench(tenants[1], [canary], stack_redis, key=bench.key)
    other.world.open()
    await other.say(len(other.world.entries))
    await _contact(tenants[1], "+254700000001", first_name="Canary", last_name="Ziwa")
    await _contact(tenants[0], "+254700000001", first_name="Juma", last_name="Mto")
    ours, theirs = await bench.desk(bench.people[0]), await other.desk(canary)
    await bench.ring(bench.people[0], name="OursOnly")
    await other.ring(canary, name="CanaryCaller")
    assert (await ours.until("pop"))["data"]["contact"]["name"].endswith("Mto")
    assert (await theirs.until("pop"))["data"]["contact"]["name"].endswith("Ziwa")
    assert "Canary" not in json.dumps(ours.frames) and "Ziwa" not in json.dumps(ours.frames)
    assert "OursOnly" not in json.dumps(theirs.frames) and "Mto" not in json.dumps(theirs.frames)
    await ours.close()
    await theirs.close()
    await other.daemon.stop()


async def test_a_reload_shows_the_same_call_and_who_it_is(bench, tenants):
    asha = bench.people[0]
    await _contact(tenants[0], "+254700000001", first_name="Juma", last_name="Otieno")
    call = await bench.ring(asha)
    bench.world.answer(call)
    await bench.say(3)
    client = await bench.desk(asha)
    state = client.mirror.state["call"] or (await client.until("call.state"))["data"]
    assert state["id"] == call.call
    assert (await client.until("pop"))["data"]["contact"]["name"].endswith("Otieno")
    state = (await client.until("call.state"))["data"]
    assert state["contact"]["name"].endswith("Otieno")
    assert client.mirror.state["call"]["party"]["number"] == "+254700000001"
    await client.close()


async def test_resume_gives_what_was_missed_and_nothing_twice(bench):
    asha = bench.people[0]
    client = await bench.desk(asha)
    bench.world.say(f.StatusSet(agent=asha.id, intent=f.Intent.NOT_READY, reason="lunch"))
    await bench.say(1)
    await client.until("agent.state")
    await client.close()
    epoch, seq = client.mirror.epoch, client.mirror.seq
    await bench.ring(asha)
    again = bench.client(asha, path=f"/ws/v1/desk?epoch={epoch}&seq={seq}")
    again.mirror = client.mirror
    await again.open()
    await again.until("offer.created")
    assert again.mirror.snapshots == client.mirror.snapshots == 1
    for bad in (f"epoch={epoch + 1}&seq={seq}", "epoch=x&seq=y", f"epoch={epoch}&seq={10**17}", "seq=1"):
        other = bench.client(asha, path=f"/ws/v1/desk?{bad}")
        await other.open()
        assert (await other.next())["type"] == "hello"
        await other.until("snapshot")
        await other.close()
    await again.close()


# --- asks ------------------------------------------------------------------------------------------------


async def test_an_ask_is_acknowledged_after_its_effect_is_shown(bench):
    asha = bench.people[0]
    client = await bench.desk(asha)

    def status(envelope):
        bench.world.say(
            f.StatusSet(agent=asha.id, intent=envelope.body.intent, reason=envelope.body.reason),
            ask=envelope.id,
        )
        return bench.world.entries[-1:], {"seq": bench.world.view.seq}

    bench.daemon.answers["SetStatus"] = status
    ack = await client.ask("status.set", {"intent": "not_ready", "reason": "lunch"})
    assert (ack["type"], ack["data"]) == ("ack", {"code": "ok"})
    assert client.mirror.state["agent"]["reason"] == "lunch"
    envelope = bench.daemon.heard[-1]
    assert envelope.body == asks.SetStatus(agent=asha.id, intent=f.Intent.NOT_READY, reason="lunch")
    assert asha.id in envelope.actor
    await client.close()


async def test_the_same_id_is_the_same_ask_and_another_persons_is_not(bench):
    asha, baraka = bench.people
    first, second = await bench.desk(asha), await bench.desk(baraka)
    identity = str(uuid.uuid4())
    await first.ask("shift.end", identity=identity)
    await first.ask("shift.end", identity=identity)
    await second.ask("shift.end", identity=identity)
    ends = [each for each in bench.daemon.heard if isinstance(each.body, asks.EndShift)]
    assert len({each.id for each in ends}) == 2
    assert ends[0].id == ends[1].id or len(ends) == 2
    await first.close()
    await second.close()


async def test_a_refused_ask_is_a_problem_in_words(bench):
    client = await bench.desk(bench.people[0])
    bench.daemon.answers["SetStatus"] = lambda envelope: (
        [],
        {"ok": False, "code": "not_ready", "detail": "phone"},
    )
    error = await client.ask("status.set", {"intent": "ready"})
    assert error["type"] == "error"
    assert error["data"]["code"] == "not_ready"
    assert error["data"]["status"] == 409
    assert "phone" in error["data"]["detail"]
    assert error["data"]["type"].endswith("not_ready")
    await client.close()


async def test_silence_is_no_answer_unless_the_fact_was_seen(bench):
    asha = bench.people[0]
    client = await bench.desk(asha)
    bench.daemon.silent = True
    error = await client.ask("shift.end")
    assert (error["type"], error["data"]["code"]) == ("error", "no_answer")
    identity = await client.send("status.set", {"intent": "not_ready"})

    def asked():
        return [each for each in bench.daemon.heard if isinstance(each.body, asks.SetStatus)]

    envelope = (await eventually(asked))[0]
    bench.world.say(f.StatusSet(agent=asha.id, intent=f.Intent.NOT_READY), ask=envelope.id)
    await bench.say(1)
    while (frame := await client.next()).get("id") != identity:
        pass
    assert frame["type"] == "ack"
    await client.close()


async def test_every_ask_reaches_the_daemon_in_its_own_shape(bench):
    asha = bench.people[0]
    client = await bench.desk(asha)
    call = await bench.ring(asha)
    bench.world.answer(call)
    await bench.say(3)
    who, what = asha.id, call.call
    sent: list[tuple[str, dict[str, Any], Any, dict[str, Any]]] = [
        (
            "offer.decline",
            {"offer": f"{what}.2", "reason": "busy"},
            asks.DeclineOffer,
            {"offer": f"{what}.2"},
        ),
        ("call.hold", {"call": what}, asks.HoldCall, {"call": what}),
        ("call.unhold", {"call": what}, asks.ResumeCall, {"call": what}),
        ("call.mute", {"call": what, "muted": True}, asks.MuteCall, {"muted": True}),
        ("call.dtmf", {"call": what, "digits": "12#"}, asks.SendDigits, {"digits": "12#"}),
        ("call.hangup", {"call": what}, asks.HangUpCall, {"call": what}),
        ("wrapup.extend", {"call": what}, asks.ExtendWrapUp, {"call": what}),
        ("shift.end", {}, asks.EndShift, {}),
    ]
    for kind, data, expected, fields in sent:
        assert (await client.ask(kind, data))["type"] == "ack", kind
        body = [each.body for each in bench.daemon.heard if not isinstance(each.body, asks.ReportDesktop)][-1]
        assert isinstance(body, expected) and body.agent == who
        assert all(getattr(body, name) == value for name, value in fields.items())
    await client.close()


async def test_a_shift_starts_with_fresh_credentials(bench, settings):
    settings.SIP_REGISTRAR, settings.SIP_WEBSOCKET = "pbx.example:5060", "wss://pbx.example/ws"
    client = await bench.desk(bench.people[0])
    ack = await client.ask("shift.start")
    assert ack["type"] == "ack", ack
    sip = ack["data"]["sip"]
    assert sip["uri"] == f"sip:{sip['user']}@pbx.example"
    assert (sip["websocket"], sip["realm"]) == ("wss://pbx.example/ws", "asterisk")
    body = next(each.body for each in bench.daemon.heard if isinstance(each.body, asks.StartShift))
    assert (body.agent, body.endpoint) == (bench.people[0].id, sip["user"])
    again = (await client.ask("shift.start"))["data"]["sip"]
    assert again["user"] == sip["user"] and again["password"] != sip["password"]
    await client.close()


async def test_a_wrap_up_is_stored_before_it_is_finished(bench, tenants):
    from web.tenant.calls.models import CallDisposition, WrapUp

    asha = bench.people[0]

    def disposition():
        CallDisposition.objects.get_or_create(code="HELPED", defaults={"name": "Helped", "category": "ok"})

    await tenant_db(tenants[0].pk, disposition)
    client = await bench.desk(asha)
    call = await bench.ring(asha)
    bench.world.answer(call)
    bench.world.hang_up(call)
    await bench.say(6)
    await eventually(lambda: bench.daemon.seq)
    error = await client.ask("wrapup.finish", {"call": call.call, "disposition": "NOPE", "note": "x"})
    assert (error["type"], error["data"]["code"]) == ("error", "invalid")
    ack = await client.ask("wrapup.finish", {"call": call.call, "disposition": "HELPED", "note": "All well"})
    assert ack["type"] == "ack", ack
    body = [each.body for each in bench.daemon.heard if isinstance(each.body, asks.FinishWrapUp)][-1]
    assert (body.agent, body.call, body.disposition) == (asha.id, call.call, "HELPED")
    row = await tenant_db(tenants[0].pk, lambda: WrapUp.objects.get(call_id=call.call))
    assert row.note == "All well"
    await client.close()


# --- what does not fit -----------------------------------------------------------------------------------

BAD = [
    ("{", "malformed"),
    ("[]", "invalid"),
    ("[" * 20_000, "invalid"),
    ('{"v":1,"type":"ping","id":"%s","data":' + "[" * 20_000, "malformed"),
    ('"ping"', "invalid"),
    ('{"v":2,"type":"ping","id":"%s","data":{}}', "invalid"),
    ('{"v":1,"type":"ping","id":"not a uuid","data":{}}', "invalid"),
    ('{"v":1,"type":"ping","data":{}}', "invalid"),
    ('{"v":1,"type":7,"id":"%s"}', "invalid"),
    ('{"v":1,"type":"ping","id":"%s","data":{"x":1}}', "invalid"),
    ('{"v":1,"type":"ping","id":"%s","data":null}', "invalid"),
    ('{"v":1,"type":"monitor.listen","id":"%s","data":{}}', "unknown_type"),
    ('{"v":1,"type":"__class__","id":"%s","data":{}}', "unknown_type"),
    ('{"v":1,"type":"status.set","id":"%s","data":{"intent":"asleep"}}', "invalid"),
    ('{"v":1,"type":"status.set","id":"%s","data":{"intent":"ready","reason":"free text!"}}', "invalid"),
    ('{"v":1,"type":"call.dtmf","id":"%s","data":{"call":"c","digits":"1\\r\\n"}}', "invalid"),
    ('{"v":1,"type":"call.hold","id":"%s","data":{"call":7}}', "invalid"),
    ('{"v":1,"type":"media.claim","id":"%s","data":{"tab":"../x"}}', "invalid"),
]


async def test_what_does_not_fit_is_answered_counted_and_changes_nothing(bench):
    from realtime import meters

    client = await bench.desk(bench.people[0])
    view = json.dumps(client.mirror.state)
    for n, (text, code) in enumerate(BAD):
        if n % 10 == 9:
            await _refill()
        before = meters.REFUSED.labels(code)._value.get()
        await client.raw(text.replace("%s", str(uuid.uuid4())))
        error = await client.until("error")
        assert error["data"]["code"] == code, text[:80]
        assert meters.REFUSED.labels(code)._value.get() == before + 1
        assert "asleep" not in json.dumps(error) and "free text" not in json.dumps(error)
    await client.socket.send_to(bytes_data=b"\x00\xff")
    assert (await client.until("error"))["data"]["code"] == "malformed"
    await _refill()
    assert (await client.ask("ping"))["type"] == "pong"
    assert json.dumps(client.mirror.state) == view
    assert all(isinstance(each.body, asks.ReportDesktop) for each in bench.daemon.heard)
    await client.close()


async def _refill():
    import asyncio

    await asyncio.sleep(1.0)


async def test_a_frame_that_is_too_big_ends_the_socket(bench):
    client = await bench.desk(bench.people[0])
    await client.raw(
        json.dumps({"v": 1, "type": "ping", "id": str(uuid.uuid4()), "data": {"x": "y" * 70_000}})
    )
    assert await client.until_closed() == 1009


async def test_more_than_twenty_messages_at_once_are_refused(bench, monkeypatch):
    """Without a refill, which test_shapes proves: how long the sending takes shall not matter."""
    monkeypatch.setattr("realtime.limits.RATE", 0.0)
    client = await bench.desk(bench.people[0])
    for _ in range(40):
        await client.send("ping")
    kinds: list[str] = []
    while len(kinds) < 40:
        frame = await client.next()
        if frame["type"] in ("pong", "error"):
            kinds.append(frame["data"].get("code", "pong"))
    assert kinds == ["pong"] * 20 + ["throttled"] * 20
    await client.close()


# --- presence and tabs -----------------------------------------------------------------------------------


def desktops(bench, agent):
    return [
        each.body.online
        for each in bench.daemon.heard
        if isinstance(each.body, asks.ReportDesktop) and each.body.agent == agent
    ]


async def test_the_first_desk_is_reported_and_the_last_one_gone(bench, monkeypatch):
    monkeypatch.setattr("realtime.presence.LOST_SECONDS", 2)

    def seen(envelope):
        bench.world.say(f.DesktopSeen(agent=envelope.body.agent, online=envelope.body.online))
        return bench.world.entries[-1:], {}

    bench.daemon.answers["ReportDesktop"] = seen
    asha = bench.people[0]
    bench.world.say(f.DesktopSeen(agent=asha.id, online=False))
    await bench.say(1)
    first = await bench.desk(asha)
    await eventually(lambda: desktops(bench, asha.id) == [True])
    second = await bench.desk(asha)
    await first.close()
    for _ in range(4):
        await second.ask("ping")
        await _refill()
    assert desktops(bench, asha.id) == [True]
    assert second.mirror.state["agent"]["missing"] == []
    await second.close()
    await eventually(lambda: desktops(bench, asha.id) == [True, False])


async def test_the_last_claim_has_the_sound(bench):
    asha = bench.people[0]
    first, second = await bench.desk(asha), await bench.desk(asha)
    baraka = await bench.desk(bench.people[1])
    tabs = [str(uuid.uuid4()), str(uuid.uuid4())]
    await _joined(asha, asha, bench.people[1])
    assert (await first.ask("media.claim", {"tab": tabs[0]}))["type"] == "ack"
    assert (await second.until("notice"))["data"]["code"] == "elsewhere"
    assert (await second.ask("media.claim", {"tab": tabs[1]}))["type"] == "ack"
    assert (await first.until("notice"))["data"]["code"] == "elsewhere"
    assert "elsewhere" not in baraka.mirror.notices
    for client in (first, second, baraka):
        await client.close()


async def test_a_tab_that_comes_back_replaces_its_old_socket(bench):
    asha, tab = bench.people[0], str(uuid.uuid4())
    old = await bench.desk(asha, path=f"/ws/v1/desk?tab={tab}")
    await _joined(asha)
    new = await bench.desk(asha, path=f"/ws/v1/desk?tab={tab}")
    assert await old.until_closed() == 4409
    assert (await new.ask("ping"))["type"] == "pong"
    await new.close()


async def _joined(*people):
    """The sockets of these people (named once for each socket) have joined their groups."""
    from realtime.consumers.base import sockets

    wanted = sorted(each.id for each in people)

    def joined():
        ready = [each for each in sockets if len(each._groups) == 3]
        return sorted(str(each.visitor.user) for each in ready if str(each.visitor.user) in wanted) == wanted

    await eventually(joined)


# --- floor and wall --------------------------------------------------------------------------------------


async def test_the_floor_follows(bench, person):
    boss = await person("supervisor", name="Boss")
    floor = bench.client(boss, path="/ws/v1/floor")
    await floor.open()
    snapshot = (await floor.until("snapshot"))["data"]
    assert {each["name"] for each in snapshot["agents"]} == {"Asha", "Baraka"}
    call = await bench.ring(bench.people[0])
    state = (await floor.until("call.state"))["data"]
    while state["offered_to"] is None:
        state = (await floor.until("call.state"))["data"]
    assert (state["id"], state["offered_to"]) == (call.call, bench.people[0].id)
    assert "+2547" not in json.dumps(floor.frames)
    error = await floor.ask("call.hold", {"call": call.call})
    assert error["data"]["code"] == "unknown_type"
    await floor.close()


async def test_the_wall_is_coalesced(bench, person):
    viewer = await person("viewer")
    wall = bench.client(viewer, path="/ws/v1/wallboard")
    await wall.open()
    await wall.until("snapshot")
    for _ in range(30):
        bench.world.arrive()
        await bench.say(2)
    frames: list[Any] = []
    while not frames or sum(each["waiting"] for each in frames[-1]) < 30:
        frames.append((await wall.until("queue.states"))["data"]["queues"])
    assert len(frames) < 15
    await wall.close()


async def test_declined_offers_are_withdrawn(bench):
    asha = bench.people[0]
    client = await bench.desk(asha)
    call = await bench.ring(asha)
    await client.until("offer.created")
    bench.world.end_offer(call, OfferOutcome.DECLINED)
    await bench.say(1)
    assert (await client.until("offer.withdrawn"))["data"]["outcome"] == "declined"
    await client.close()
