"""The stories that are recorded; each is named by its function, and its settings are the queue's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from telephony.contract import asks
from telephony.contract.facts import Intent
from telephony.contract.view import Effective
from tests.fakes.publication import Publication, row
from tests.replay.cast import OTHER, PEOPLE, TENANT, published, republished
from tests.replay.stage import Stage
from tests.system.kit.sip import Do

__all__ = ["STORIES", "TENANT", "Story"]


@dataclass(frozen=True)
class Story:
    tell: Callable[[Stage], Awaitable[None]]
    queue: dict[str, Any]

    def published(self) -> Publication:
        return published(**self.queue)


STORIES: dict[str, Story] = {}


def story(**queue: Any) -> Callable[[Callable[[Stage], Awaitable[None]]], None]:
    def keep(tell: Callable[[Stage], Awaitable[None]]) -> None:
        STORIES[tell.__name__.replace("_", "-")] = Story(tell, queue)

    return keep


# --- one call -------------------------------------------------------------------------------------------


@story()
async def plain(s: Stage) -> None:
    await s.ready("anna")
    call = await s.arrive(display="Wanjiru")
    await s.connected()
    await call.hang_up()
    await s.write_up("anna")


@story()
async def abandoned_in_line(s: Stage) -> None:
    call = await s.arrive()
    await s.facts("CallQueued")
    await call.hang_up()


@story()
async def abandoned_while_ringing(s: Stage) -> None:
    phone = await s.ready("anna", Do.RING)
    call = await s.arrive()
    await phone.invited()
    await call.hang_up()
    await s.effective("anna", Effective.READY)


@story()
async def declined_by_the_phone(s: Stage) -> None:
    await s.ready("anna", Do.DECLINE)
    await s.ready("ben")
    call = await s.arrive()
    await s.connected()
    await call.hang_up()
    await s.write_up("ben")


@story()
async def declined_at_the_desk(s: Stage) -> None:
    phone = await s.ready("anna", Do.RING)
    call = await s.arrive()
    await phone.invited()
    await s.decline("anna")
    await s.ready("ben")
    await s.connected()
    await call.hang_up()


@story()
async def busy_then_the_next(s: Stage) -> None:
    await s.ready("anna", Do.BUSY)
    await s.ready("ben")
    call = await s.arrive()
    await s.connected()
    await call.hang_up()


@story(ring_seconds=2)
async def missed_then_the_next(s: Stage) -> None:
    await s.ready("anna", Do.RING)
    await s.ready("ben")
    call = await s.arrive()
    await s.connected()
    await call.hang_up()
    await s.ask("anna", asks.SetStatus, intent=Intent.READY)


@story()
async def hold_and_resume(s: Stage) -> None:
    await s.ready("anna")
    call = await s.arrive()
    await s.connected()
    await s.ask("anna", asks.HoldCall)
    await s.ask("anna", asks.HoldCall)
    await s.ask("anna", asks.ResumeCall)
    await s.ask("anna", asks.HangUpCall)
    await call.ended()
    await s.write_up("anna")


@story()
async def held_caller_gives_up(s: Stage) -> None:
    await s.ready("anna")
    call = await s.arrive()
    await s.connected()
    await s.ask("anna", asks.HoldCall)
    await call.hang_up()
    await s.effective("anna", Effective.WRAP_UP)


@story()
async def muted_and_digits(s: Stage) -> None:
    await s.ready("anna")
    call = await s.arrive()
    await s.connected()
    await s.ask("anna", asks.MuteCall, muted=True)
    await s.ask("anna", asks.SendDigits, digits="4711#")
    await s.ask("anna", asks.MuteCall, muted=False)
    await call.hang_up()


@story()
async def agent_hangs_up_the_phone(s: Stage) -> None:
    phone = await s.ready("anna")
    call = await s.arrive()
    await s.connected()
    await phone.arrivals[0].hang_up()
    await call.ended()
    await s.write_up("anna")


@story()
async def hostile_names(s: Stage) -> None:
    await s.ready("anna")
    for display in ("<img onerror=x>\u202eevil", "'; DROP TABLE calls; --", "${SHELL(id)}", "x" * 300):
        call = await s.arrive(display=display)
        await s.connected(len(s.rig.facts("CallArrived")))
        await call.hang_up()
        await s.write_up("anna")


# --- legs that are lost ---------------------------------------------------------------------------------


@story()
async def lost_leg_comes_back(s: Stage) -> None:
    browser = await s.ready("chao")
    call = await s.arrive()
    await s.connected()
    await browser.arrivals[0].hang_up()
    await s.facts("AgentLost")
    await s.connected(2)
    await call.hang_up()


@story()
async def lost_leg_goes_to_another(s: Stage) -> None:
    browser = await s.ready("chao")
    call = await s.arrive()
    await s.connected()
    await s.ready("dina")
    await browser.register(expires=0)
    await browser.arrivals[0].hang_up()
    await s.facts("AgentLost")
    await s.connected(2, 40)
    await call.hang_up()
    await s.write_up("dina")


@story()
async def kept_caller_gives_up(s: Stage) -> None:
    browser = await s.ready("chao")
    call = await s.arrive()
    await s.connected()
    await browser.register(expires=0)
    await browser.arrivals[0].hang_up()
    await s.facts("AgentLost")
    await call.hang_up()


@story()
async def wilful_end_of_a_browser(s: Stage) -> None:
    browser = await s.ready("chao")
    call = await s.arrive()
    await s.connected()
    await browser.arrivals[0].hang_up("Q.850;cause=31")
    await call.ended()
    await s.effective("chao", Effective.WRAP_UP)


@story()
async def hang_up_and_answer_at_once(s: Stage) -> None:
    phone = await s.ready("anna", Do.RING)
    for n in range(8):
        call = await s.arrive()
        ring = await phone.invited()
        if n % 2:
            await ring.accept()
            await asyncio.sleep(n / 1000)
            await call.hang_up()
        else:
            await asyncio.gather(ring.accept(), call.hang_up())
        await s.facts("CallEnded", n + 1)
        if s.agent("anna").effective is Effective.WRAP_UP:
            await s.write_up("anna")
        await s.effective("anna", Effective.READY)


# --- after the call, and shifts -------------------------------------------------------------------------


@story(wrap_up_seconds=2)
async def wrap_up_runs_out(s: Stage) -> None:
    await s.ready("anna")
    call = await s.arrive()
    await s.connected()
    await call.hang_up()
    await s.facts("WrapUpEnded")
    await s.effective("anna", Effective.READY)


@story(wrap_up_seconds=3, wrap_up_extend_seconds=2, wrap_up_extensions=1)
async def wrap_up_extended(s: Stage) -> None:
    await s.ready("anna")
    call = await s.arrive()
    await s.connected()
    await call.hang_up()
    await s.effective("anna", Effective.WRAP_UP)
    wrapping = s.agent("anna").wrap_up.call
    await s.ask("anna", asks.ExtendWrapUp, call=wrapping)
    await s.ask("anna", asks.ExtendWrapUp, call=wrapping)
    await s.facts("WrapUpEnded")


@story()
async def next_status_is_a_break(s: Stage) -> None:
    await s.ready("anna")
    call = await s.arrive()
    await s.connected()
    await s.ask("anna", asks.SetStatus, intent=Intent.NOT_READY, reason="lunch")
    await call.hang_up()
    await s.write_up("anna")
    waiting = await s.arrive()
    await s.ask("anna", asks.SetStatus, intent=Intent.READY)
    await s.connected(2)
    await waiting.hang_up()


@story()
async def shift_ended_in_wrap_up(s: Stage) -> None:
    await s.ready("anna")
    call = await s.arrive()
    await s.connected()
    await s.ask("anna", asks.EndShift)
    await call.hang_up()
    await s.effective("anna", Effective.WRAP_UP)
    await s.ask("anna", asks.EndShift)
    await s.ready("ben")


@story()
async def phone_unregistered(s: Stage) -> None:
    phone = await s.ready("anna")
    await phone.register(expires=0)
    await s.rig.until(lambda: not s.agent("anna").reachable[PEOPLE["anna"].phone])
    call = await s.arrive()
    await phone.register()
    await s.connected()
    await call.hang_up()


@story()
async def off_the_roster_while_ringing(s: Stage) -> None:
    person = PEOPLE["anna"]
    phone = await s.ready("anna", Do.RING)
    call = await s.arrive()
    await phone.invited()
    s.rig.published.publish(row(TENANT, person.agent, person.phone, version=2, active=False))
    await s.facts("OfferEnded")
    await s.ready("ben")
    await s.connected()
    await call.hang_up()


# --- the line -------------------------------------------------------------------------------------------


@story(max_wait_seconds=2)
async def waited_too_long(s: Stage) -> None:
    call = await s.arrive()
    await s.facts("CallDiverted")
    await call.hang_up()
    await s.facts("CallEnded")


@story(wrap_up_seconds=0)
async def burst_of_twenty(s: Stage) -> None:
    for name in ("anna", "ben", "dina"):
        await s.ready(name, sound=False, talk_seconds=None)
    calls = [await s.dial(sound=False) for _ in range(20)]
    await s.facts("CallArrived", 20)
    await asyncio.gather(*(call.answered() for call in calls[5:]))
    await calls[-1].hang_up()
    for served in range(1, 16):
        done = await s.facts("CallConnected", served)
        await s.ask(_name_of(done.agent), asks.HangUpCall, call=done.call)
    await asyncio.gather(*(call.hang_up() for call in calls))


def _name_of(agent: str) -> str:
    return next(name for name, each in PEOPLE.items() if each.agent == agent)


@story()
async def policy_published_in_a_call(s: Stage) -> None:
    await s.ready("anna")
    talking, waiting = await s.arrive(), await s.arrive()
    await s.connected()
    s.rig.published.publish(republished(2, wrap_up_seconds=0, priority=30, max_wait_seconds=20))
    await s.facts("PolicyAdopted", 3)
    await talking.hang_up()
    await s.write_up("anna")
    await s.connected(2)
    third = await s.arrive()
    await waiting.hang_up()
    await s.write_up("anna")
    await s.connected(3)
    await third.hang_up()


@story()
async def two_tenants(s: Stage) -> None:
    await s.ready("anna")
    s.rig.tenant = OTHER  # type: ignore[assignment]
    await s.ready("otto")
    theirs = await s.dial(OTHER)
    ours = await s.dial()
    await s.connected(2)
    await theirs.hang_up()
    await s.write_up("otto", "LOST")
    s.rig.tenant = TENANT  # type: ignore[assignment]
    await ours.hang_up()
    await s.write_up("anna")


# --- what breaks ----------------------------------------------------------------------------------------


@story()
async def daemon_restarts_in_the_line(s: Stage) -> None:
    first, second = await s.arrive(), await s.arrive()
    await s.restart_daemon()
    await s.ready("anna")
    await s.connected()
    await first.hang_up()
    await second.hang_up()


@story()
async def daemon_restarts_in_a_talk(s: Stage) -> None:
    await s.ready("anna")
    call = await s.arrive()
    await s.connected()
    await s.restart_daemon()
    await s.ask("anna", asks.HoldCall)
    await s.ask("anna", asks.ResumeCall)
    await call.hang_up()
    await s.write_up("anna")


@story(ring_seconds=10)
async def daemon_restarts_in_a_ring(s: Stage) -> None:
    phone = await s.ready("anna", Do.RING)
    call = await s.arrive()
    ring = await phone.invited()
    await s.restart_daemon()
    await ring.accept()
    await s.connected()
    await call.hang_up()


@story()
async def caller_adopted_whom_the_last_daemon_never_decided(s: Stage) -> None:
    waiting = await s.arrive()
    await s.deafen_daemon()
    newcomer = await s.dial()
    await s.in_application(2)
    await s.restart_daemon()
    await s.facts("CallArrived", 2)
    assert s.rig.facts("CallArrived")[-1].adopted
    await s.ready("anna")
    await s.connected()
    await waiting.hang_up()
    await s.write_up("anna")
    await s.connected(2)
    await newcomer.hang_up()


@story()
async def caller_came_without_a_daemon(s: Stage) -> None:
    await s.ready("anna", Do.RING)
    waiting = await s.arrive()
    await s.rig.crash()
    newcomer = await s.dial()
    await waiting.hang_up()
    await s.rig.start()
    await s.facts("CallEnded")
    await s.facts("CallArrived", 2)
    await newcomer.hang_up()


@story()
async def asterisk_killed(s: Stage) -> None:
    await s.ready("anna")
    talking, waiting = await s.arrive(), await s.arrive()
    await s.connected()
    s.kill_asterisk()
    await talking.close()
    await waiting.close()
    await s.facts("CallEnded", 2, 40)
    await s.ready("ben")
    again = await s.arrive()
    await s.connected(2, 30)
    await again.hang_up()


@story()
async def a_stranger_takes_the_application(s: Stage) -> None:
    phone = await s.ready("anna", Do.RING)
    call = await s.arrive()
    await phone.invited()
    headers = {"Authorization": aiohttp.encode_basic_auth(s.rig.user, s.rig.password)}
    address = f"{s.rig.ari}/ari/events?app=murima-0"
    async with aiohttp.ClientSession(headers=headers) as session, session.ws_connect(address):
        await s.rig.until(lambda: not s.rig.daemon.door.is_open)
        await s.rig.until(lambda: s.rig.daemon.door.is_open)
    await phone.arrivals[0].accept()
    await s.connected()
    await call.hang_up()
