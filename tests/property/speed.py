# mypy: disable-error-code="arg-type"
# Ids are plain strings in these stories.
"""How long a step of the engine takes on a large floor: prints microseconds, asserts nothing.

python -m tests.property.speed [AGENTS] [CALLERS]
"""

import sys
from collections.abc import Callable
from time import perf_counter_ns

from telephony.contract import asks as a
from telephony.contract.asks import Envelope
from telephony.contract.clock import SECOND
from telephony.contract.facts import Intent
from telephony.contract.view import View
from telephony.engine import events as e
from telephony.engine.floor import Floor, Step
from tests.fakes.floor_story import START, TENANT, call_id, endpoint, make_policy, make_row

QUEUES = 10


class Stopwatch:
    def __init__(self, floor: Floor) -> None:
        self.floor, self.now, self.asked = floor, START, 0
        self.took: dict[str, list[int]] = {}

    def tell(self, name: str, event: e.Event) -> Step:
        self.now += 100
        start = perf_counter_ns()
        step = self.floor.step(event, self.now)
        self.took.setdefault(name, []).append(perf_counter_ns() - start)
        return step

    def ask(self, name: str, body: object) -> Step:
        self.asked += 1
        envelope = Envelope(
            id=f"a{self.asked}", tenant=TENANT, actor="x", at=self.now, expires=self.now + SECOND, body=body
        )
        return self.tell(name, e.Asked(envelope=envelope))


def enter(watch: Stopwatch, n: int) -> None:
    watch.tell(
        "caller enters",
        e.CallerEntered(
            call=call_id(n),
            party="p",
            node="a",
            channel=f"channel-{n}",
            trunk="t",
            number=f"n-q{n % QUEUES}",
            first_arrival=watch.now,
        ),
    )


def main(agents: int, callers: int) -> None:
    watch = Stopwatch(Floor(View(tenant=TENANT)))
    queues = {f"q{n}": {"max_wait_seconds": 3600} for n in range(QUEUES)}
    watch.tell("policy", e.PolicyPublished(policy=make_policy(1, **queues)))
    watch.tell("open", e.OffersOpened())
    served = {f"q{n}": n % 3 for n in range(QUEUES)}
    for n in range(agents):
        name, agent = f"{n}", f"agent-{n}"
        watch.tell("roster", e.RosterPublished(row=make_row(name, served, desk=False)))
        watch.tell("phone", e.PhoneChanged(agent=agent, endpoint=endpoint(name), reachable=True))
        watch.ask("shift", a.StartShift(agent=agent, endpoint=endpoint(name)))
        watch.ask("ready, nobody waits", a.SetStatus(agent=agent, intent=Intent.READY))
    _serve(watch, agents, callers)
    for name, took in watch.took.items():
        took.sort()
        half, most = took[len(took) // 2] / 1000, took[int(len(took) * 0.99)] / 1000
        print(f"{name:28} n={len(took):6}  p50 {half:8.1f} µs  p99 {most:8.1f} µs")


def _serve(watch: Stopwatch, agents: int, callers: int) -> None:
    """Every agent takes a call, as many callers wait; then each agent ends one and is offered the next."""
    for n in range(1, agents + 1):
        enter(watch, n)
    floor: Callable[[int], str] = lambda n: watch.floor.view.calls[call_id(n)].offer.offer  # type: ignore[union-attr]  # noqa: E731
    for n in range(1, agents + 1):
        watch.tell("agent answers", e.LegAnswered(call=call_id(n), leg=floor(n)))
    watch.took["caller enters, an agent is free"] = watch.took.pop("caller enters")
    for n in range(agents + 1, agents + callers + 1):
        enter(watch, n)
    watch.took["caller enters, nobody is free"] = watch.took.pop("caller enters")
    for n in range(1, agents + 1):
        agent = watch.floor.view.calls[call_id(n)].agent
        watch.tell("caller hangs up", e.CallerGone(call=call_id(n)))
        body = a.FinishWrapUp(agent=agent, call=call_id(n), disposition="OK")
        watch.ask("wrapped up, next is rung", body)


if __name__ == "__main__":
    main(*(int(each) for each in (*sys.argv[1:], "1000", "1000")[:2]))
