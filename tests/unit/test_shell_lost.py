"""Which legs are looked at when a browser goes away, and what is made of what is found."""

import asyncio
import uuid
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from telephony.contract.ids import AgentId, CallId, Endpoint, LegId, PartyId, TenantId
from telephony.contract.roster import DeviceKind
from telephony.contract.view import AgentView, CallState, CallView, View
from telephony.ports.switch import SwitchError
from telephony.shell import lost
from telephony.shell.directory import Directory
from telephony.shell.lost import LostLegs
from tests.fakes.publication import row

TENANT = TenantId("t_aaaaaaaaaaaa")
CALL = CallId(str(uuid.UUID(int=7)))
LEG = LegId(f"{CALL}.2")
ANNA, PHONE = AgentId(str(uuid.UUID(int=1))), Endpoint("daaaaaaaaaaaa")


class Bench:
    """A browser in a call; `counts` is what the switch will say of its leg's packets, one after the other."""

    node = "a"

    def __init__(self, *counts: int | SwitchError | None, kind: DeviceKind = DeviceKind.BROWSER) -> None:
        self.counts, self.ended, self.doubts = list(counts), [], []  # type: ignore[var-annotated]
        self.tasks: list[asyncio.Task[None]] = []
        self.directory = Directory()
        self.directory.roster(row(TENANT, ANNA, PHONE, kind=kind))
        self.call = CallView(
            call=CALL,
            channel="1.1",
            leg=LegId(f"{CALL}.1"),
            node="a",
            trunk="t",
            number="n",
            party=PartyId("p"),
            arrived=1,
            state=CallState.TALKING,
            agent_leg=LEG,
        )
        self.agent = AgentView(agent=ANNA, endpoint=PHONE, call=CALL)
        view = View(tenant=TENANT, calls={CALL: self.call}, agents={ANNA: self.agent})
        runtime: Any = SimpleNamespace(tenancies={TENANT: None}, view=lambda tenant: view)
        self.door = SimpleNamespace(is_open=True)
        self.legs = LostLegs(
            self,  # type: ignore[arg-type]
            runtime=runtime,
            directory=self.directory,
            door=self.door,  # type: ignore[arg-type]
            doubt=self.doubts.append,
            spawn=self._spawn,
        )

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        self.tasks.append(asyncio.create_task(work))

    async def packets(self, leg: str) -> int | None:
        assert leg == LEG
        found = self.counts.pop(0)
        if isinstance(found, SwitchError):
            raise found
        return found

    async def hang_up(self, channel: str) -> None:
        self.ended.append(channel)

    async def gone(self) -> list[str]:
        """The browser goes away; the legs that were ended for it."""
        self.legs.moved(PHONE)
        await asyncio.gather(*self.tasks)
        return self.ended


@pytest.fixture(autouse=True)
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost, "BETWEEN_SECONDS", 0.0)


async def test_leg_that_sends_nothing_is_ended() -> None:
    assert await Bench(40, 40).gone() == [LEG]


async def test_leg_whose_last_packets_were_under_way_is_ended_at_the_next_look() -> None:
    assert await Bench(40, 43, 43).gone() == [LEG]


async def test_leg_that_sends_is_left_alone_after_a_few_looks() -> None:
    bench = Bench(40, 90, 140, 190)
    assert await bench.gone() == []
    assert bench.counts == []


async def test_leg_that_is_not_there_is_left_to_the_lists() -> None:
    for bench in (Bench(None), Bench(40, None), Bench(40, 41, 42, None)):
        assert await bench.gone() == []
        assert bench.doubts == ["leg_gone"]


async def test_switch_that_does_not_answer_ends_nothing_and_the_next_look_may() -> None:
    bench = Bench(40, SwitchError("GET channels", 0), 40, 40)
    assert await bench.gone() == []
    assert await bench.gone() == [LEG]


async def test_one_look_at_a_time() -> None:
    bench = Bench(40, 40)
    bench.legs.moved(PHONE)
    bench.legs.moved(PHONE)
    await asyncio.gather(*bench.tasks)
    assert len(bench.tasks) == 1


async def test_leg_that_another_took_over_meanwhile_is_left_alone() -> None:
    bench = Bench(40, 40)
    bench.legs.moved(PHONE)
    bench.call.agent_leg = LegId(f"{CALL}.5")
    await asyncio.gather(*bench.tasks)
    assert bench.ended == []


async def test_nothing_leaves_while_the_door_is_closed() -> None:
    bench = Bench(40, 40)
    bench.door.is_open = False
    assert await bench.gone() == []


async def test_who_is_not_in_a_call_on_a_browser_here_is_not_looked_at() -> None:
    desk_phone = Bench(kind=DeviceKind.SIP)
    idle, elsewhere, other_node = Bench(), Bench(), Bench()
    idle.agent.call = None
    elsewhere.agent.endpoint = Endpoint("dbbbbbbbbbbbb")
    other_node.call.node = "b"
    for bench in (desk_phone, idle, elsewhere, other_node):
        assert await bench.gone() == []
    stranger = Bench()
    stranger.legs.moved(Endpoint("dcccccccccccc"))
    assert stranger.tasks == []
