"""One writer per tenant: log before commands, a broken floor mended alone, answers after the commit."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from telephony.adapters.bus.memory import MemoryBus
from telephony.adapters.log.memory import MemoryLog, Store
from telephony.contract import asks
from telephony.contract.frames import Ack
from telephony.contract.ids import AgentId, AskId, CallId, Endpoint, NumberId, PartyId, TenantId
from telephony.contract.view import View
from telephony.engine import commands as c
from telephony.engine import events as e
from telephony.ports.log import Fenced
from telephony.shell.clock import EngineClock
from telephony.shell.directory import Directory
from telephony.shell.door import Door
from telephony.shell.parties import Parties
from telephony.shell.runtime import Runtime
from tests.fakes.publication import Publication, policy, row

ONE, TWO = TenantId("t_aaaaaaaaaaaa"), TenantId("t_bbbbbbbbbbbb")


class Bench:
    def __init__(self) -> None:
        self.store = Store()
        self.log = MemoryLog(self.store)
        self.bus = MemoryBus(b"k")
        self.directory = Directory()
        self.sent: list[c.SwitchCommand] = []
        self.facts_when_sent: list[int] = []
        self.parties = Parties(Publication())
        self.runtime = Runtime(
            log=self.log,
            bus=self.bus,
            clock=EngineClock(),
            door=Door(),
            directory=self.directory,
            parties=self.parties,
            submit=self._submit,
            build="test",
        )

    def _submit(self, commands: list[c.SwitchCommand]) -> None:
        self.sent += commands
        self.facts_when_sent.append(len(self.store.frames))

    def enter(self, tenant: TenantId, n: int) -> None:
        call, party = CallId(str(uuid.UUID(int=n))), PartyId(str(uuid.UUID(int=n + 1000)))
        self.parties.met(tenant, call, party, "+254711000001", "x")
        self.runtime.post(
            tenant,
            e.CallerEntered(
                call=call,
                party=party,
                node="a",
                channel=f"1.{n}",
                trunk="trunk",
                number=NumberId("n1"),
                first_arrival=n,
            ),
        )


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    made.runtime.publish(policy(ONE, "+1"))
    made.runtime.publish(policy(TWO, "+2"))
    made.runtime.open_offers()
    await made.runtime.drained()
    yield made
    made.runtime.failed.cancel()


async def test_facts_are_in_the_log_before_commands_leave(bench: Bench) -> None:
    before = len(bench.store.frames)
    bench.enter(ONE, 1)
    await bench.runtime.drained()
    assert [type(command).__name__ for command in bench.sent][:2] == ["SetTimeout", "AnswerCaller"]
    kinds = [kind for kind, _, _ in bench.store.frames[before:]]
    assert bench.facts_when_sent[-1] == len(bench.store.frames)
    assert kinds == ["party", "fact", "fact"]


async def test_log_is_what_the_floor_is(bench: Bench) -> None:
    for n in range(1, 200):
        bench.enter(ONE if n % 3 else TWO, n)
    await bench.runtime.drained()
    views = await bench.log.recover()
    assert views == {tenant: bench.runtime.view(tenant) for tenant in (ONE, TWO)}
    assert len(views[ONE].calls) + len(views[TWO].calls) == 199


async def test_refusing_log_stops_everything_before_a_command_leaves(bench: Bench) -> None:
    MemoryLog(bench.store)  # a newer owner
    bench.enter(ONE, 1)
    with pytest.raises(Fenced):
        await asyncio.wait_for(bench.runtime.watch(), 2)
    assert bench.sent == []


async def test_broken_floor_is_built_again_from_the_log_and_others_notice_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.enter(ONE, 1)
    await bench.runtime.drained()
    broken = bench.runtime.tenancies[ONE].floor

    def break_(event: e.Event, now: int) -> None:
        broken.view.seq += 5
        raise KeyError("a defect")

    monkeypatch.setattr(broken, "step", break_)
    bench.enter(ONE, 2)
    bench.enter(TWO, 3)
    bench.enter(ONE, 4)
    while bench.runtime.tenancies[ONE].floor is broken or bench.runtime.tenancies[ONE].inbox:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await bench.runtime.drained()
    assert len(bench.runtime.view(TWO).calls) == 1
    assert [call.channel for call in bench.runtime.view(ONE).calls.values()] == ["1.1", "1.4"]
    assert (await bench.log.recover())[ONE] == bench.runtime.view(ONE)


async def test_answer_follows_the_commit_and_says_when_it_is_pending(bench: Bench) -> None:
    bench.log.away = True
    bench.runtime.post(ONE, e.RosterPublished(row=row(ONE, "anna", "d0123456789ab")))
    body = asks.StartShift(agent=AgentId("anna"), endpoint=Endpoint("d0123456789ab"))
    now = 2**62
    envelope = asks.Envelope(id=AskId("a1"), tenant=ONE, actor="x", at=now, expires=now, body=body)
    bench.runtime.ask(envelope)
    while not bench.bus.sent:  # noqa: ASYNC110
        await asyncio.sleep(0)
    (ack,) = bench.bus.sent
    assert isinstance(ack, Ack) and (ack.ok, ack.code) == (True, "pending")
    assert ack.seq == bench.runtime.view(ONE).seq


async def test_pause_counts_as_of_the_last_instant(bench: Bench) -> None:
    bench.runtime.pause_offers()
    bench.enter(ONE, 1)
    await bench.runtime.drained()
    assert not any(isinstance(command, c.RingAgent) for command in bench.sent)
    assert isinstance(bench.runtime.view(ONE), View)
