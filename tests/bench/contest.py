"""One run of the bench: sets the ground, lets each contestant take the same calls in turn, measures.

The contestants take turns inside each scenario and rate, so that a change of the machine's mood hits all.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from deployment.dev.asterisk import ARI_USER
from deployment.dev.say import say
from deployment.dev.stack import Stack
from tests.bench import floor, ground, processes
from tests.bench.child import Child, Failed
from tests.bench.load import RING_SECONDS
from tests.bench.report import CONTESTANTS, Outcome, percentile

AGENTS = 60
WAITING_AGENTS = 20
TALK_SECONDS = 0.3
"""Mean talk while somebody is always free."""
SETTLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Heat:
    """`calls` of one scenario at one rate (a second): `free`, `silent` (the same with callers who send no
    sound) or `waiting`, where the rate is that of agents becoming free."""

    scenario: str
    rate: int
    calls: int

    @property
    def in_line(self) -> bool:
        return self.scenario == "waiting"

    @property
    def numbers(self) -> str:
        """Whose numbers are called."""
        return "waiting" if self.in_line else "free"

    @property
    def talk(self) -> float:
        if not self.in_line:
            return TALK_SECONDS
        return max(0.05, WAITING_AGENTS / self.rate - RING_SECONDS)

    @property
    def seconds(self) -> float:
        """How long it may take at most."""
        return 120 + 3 * self.calls * (1 / self.rate + 1 / WAITING_AGENTS)


class Contest:
    """`async with Contest(seed) as contest: outcomes = await contest.run(heats, contestants)`."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._served = 0
        self._children: list[Child] = []

    async def __aenter__(self) -> Contest:
        say("starting a durable stack")
        self.stack: Stack = await asyncio.to_thread(ground.start)
        try:
            await self._prepare()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _prepare(self) -> None:
        environment = {**self.stack.environment, "DJANGO_SETTINGS_MODULE": "config.settings"}
        self._floor = await self._child("floor", "-m", "tests.bench.floor", environment=environment)
        self._load = await self._child("load", "-m", "tests.bench.load", environment={})
        say("making the tenant")
        made = await self._floor.ask({"do": "make", "agents": AGENTS, "waiting_agents": WAITING_AGENTS}, 180)
        self._endpoints = [agent["endpoint"] for agent in made["agents"]]
        await asyncio.to_thread(self.stack.start_murima)
        await asyncio.to_thread(ground.lay_ways, self.stack, self._endpoints, WAITING_AGENTS)
        phones = {agent["endpoint"]: agent["secret"] for agent in made["agents"]}
        say("registering phones, opening desks")
        where = {"host": "127.0.0.1", "port": self.stack.ports["sip"], "seed": self._seed}
        await self._load.ask({"do": "register", "phones": phones, **where}, 90)
        await self._floor.ask({"do": "open", "url": self.stack.web}, 180)

    async def __aexit__(self, *_: object) -> None:
        for child in self._children:
            await child.stop()
        await asyncio.to_thread(ground.clear, self.stack)

    async def _child(self, name: str, *command: str, environment: dict[str, str]) -> Child:
        child = await Child.start(name, *command, environment=environment)
        self._children.append(child)
        return child

    # --- heats ------------------------------------------------------------------------------------------

    async def run(self, heats: list[Heat], contestants: tuple[str, ...] = CONTESTANTS) -> list[Outcome]:
        for contestant in contestants:
            await self._heat(Heat("free", 10, 20), contestant)  # nobody is judged by the first calls
        outcomes = []
        for heat in heats:
            for contestant in contestants:
                say(f"{heat.scenario} at {heat.rate}/s, {heat.calls} calls: {contestant}")
                one = await self._heat(heat, contestant)
                say(f"   p50 {one.p50:.1f} ms, p99 {one.p99:.1f} ms, CPU idle {one.idle:.0f} %")
                for problem in one.problems:
                    say(f"   {problem}")
                outcomes.append(one)
        return outcomes

    async def _heat(self, heat: Heat, contestant: str) -> Outcome:
        numbers = {"murima": floor.NUMBERS, "app_queue": ground.QUEUE_NUMBERS, "bare": ground.BARE_NUMBERS}
        bare = await self._bare(heat) if contestant == "bare" else None
        try:
            await asyncio.sleep(SETTLE_SECONDS)
            before = await asyncio.to_thread(processes.sample, self._pids(bare))
            job = {
                "do": "run", "in_line": heat.in_line, "number": numbers[contestant][heat.numbers],
                "calls": heat.calls, "rate": heat.rate, "talk": heat.talk, "waiting": 2 * WAITING_AGENTS,
                "silent": heat.scenario == "silent",
            }  # fmt: skip
            seen = await self._load.ask(job, heat.seconds)
            during = await asyncio.to_thread(processes.sample, self._pids(bare))
            facts = await self._judge_floor(seen) if contestant == "murima" else {}
            after = await asyncio.to_thread(processes.sample, self._pids(bare))
        finally:
            if bare is not None:
                await bare.stop()
        idle = 100 * (during.idle - before.idle) / max(1, during.total - before.total)
        cpu = {name: 1000 * (used - before.used[name]) / heat.calls for name, used in after.used.items()}
        return Outcome(
            contestant=contestant, scenario=heat.scenario, rate=heat.rate, calls=seen["placed"],
            seconds=seen["seconds"], samples=len(seen["samples"]), p50=percentile(seen["samples"], 0.5),
            p99=percentile(seen["samples"], 0.99), longest=max(seen["samples"], default=float("nan")),
            idle=idle, cpu=cpu, floor=facts, problems=tuple(_problems(heat, seen, facts)),
        )  # fmt: skip

    async def _judge_floor(self, seen: dict[str, Any]) -> dict[str, Any]:
        self._served += seen["placed"]
        found = await self._floor.ask({"do": "frames", "rows": self._served, "calls": seen["placed"]}, 120)
        decided, arrived = found.pop("decided_to_frame"), found.pop("arrived_to_frame")
        missing_rows = self._served - found["rows"]
        self._served -= missing_rows  # said once
        return {
            **found,
            "missing_rows": missing_rows,
            "decided_p50": percentile(decided, 0.5),
            "decided_p99": percentile(decided, 0.99),
            "arrived_p50": percentile(arrived, 0.5),
            "arrived_p99": percentile(arrived, 0.99),
        }

    async def _bare(self, heat: Heat) -> Child:
        """The bare program, serving the agents of this heat."""
        agents = self._endpoints[: WAITING_AGENTS if heat.in_line else AGENTS]
        where = (self.stack.asterisk.ari, ARI_USER, self.stack.keys["ari"], ground.BARE_APPLICATION)
        child = await Child.start("bare", "tests/bench/bare.py", *where, *agents, environment={})
        try:
            await child.hear(20)
        except Failed:
            await child.stop()
            raise
        return child

    def _pids(self, bare: Child | None) -> dict[str, int]:
        found = {child.name: child.pid for child in (*self._children, *([bare] if bare else []))}
        for name, status in self.stack.keeper.status().items():
            if isinstance(pid := status["pid"], int):
                found[name] = pid
        return found


def _problems(heat: Heat, seen: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    """Why this heat does not count: calls placed = calls served = rows = calls with a frame."""
    found = []
    if seen["served"] != heat.calls or seen["placed"] != heat.calls:
        found.append(
            f"{heat.calls} calls wanted, {seen['placed']} placed, {seen['served']} served to the end"
        )
    if facts and facts["missing_rows"]:
        found.append(f"{facts['missing_rows']} rows are missing or too many")
    if facts and facts["calls_at_desk"] != heat.calls:
        found.append(f"{facts['calls_at_desk']} calls were shown at a desk, of {heat.calls}")
    return found
