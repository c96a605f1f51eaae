"""Counts per queue, kept as the fold goes on: who waits, who could take a call, who is busy.

`touch_call` and `touch_agent` replace what one call or agent contributed, so that a fact costs the same
however large the floor is. `dirty` collects the queues whose counts may have moved.
"""

from __future__ import annotations

from telephony.contract.ids import AgentId, CallId, QueueId
from telephony.contract.view import AgentView, CallState, CallView, Effective, View

_BUSY = frozenset({Effective.ON_CALL, Effective.OFFERED, Effective.WRAP_UP})


class Tally:
    def __init__(self, view: View) -> None:
        self.waiting: dict[QueueId, dict[CallId, int]] = {}
        self.ready: dict[QueueId, set[AgentId]] = {}
        self.busy: dict[QueueId, set[AgentId]] = {}
        self.members: dict[QueueId, set[AgentId]] = {}
        self.dirty: set[QueueId] = set()
        self._call_in: dict[CallId, QueueId] = {}
        self._agent_in: dict[AgentId, tuple[QueueId, ...]] = {}
        for call in view.calls.values():
            self.touch_call(call.call, call)
        for agent in view.agents.values():
            self.touch_agent(agent)

    def queues(self) -> set[QueueId]:
        """Every queue that has a member or a caller."""
        return set(self.members) | set(self.waiting)

    def touch_call(self, call: CallId, now: CallView | None) -> None:
        """Count a call as it is now; None when the floor no longer holds it."""
        queue = now.queue if now is not None and waits(now) else None
        before = self._call_in.get(call)
        if before is not None and before != queue:
            self.waiting[before].pop(call, None)
            del self._call_in[call]
            self.dirty.add(before)
        if queue is not None and now is not None and before != queue:
            self.waiting.setdefault(queue, {})[call] = now.arrived
            self._call_in[call] = queue
            self.dirty.add(queue)

    def touch_agent(self, agent: AgentView) -> None:
        """Count an agent as they are now."""
        for queue in self._agent_in.pop(agent.agent, ()):
            for group in (self.members, self.ready, self.busy):
                group.get(queue, set()).discard(agent.agent)
            self.dirty.add(queue)
        queues = tuple(agent.memberships) if agent.active else ()
        self._agent_in[agent.agent] = queues
        group = self.ready if agent.effective is Effective.READY else self.busy
        counts = agent.effective is Effective.READY or agent.effective in _BUSY
        for queue in queues:
            self.members.setdefault(queue, set()).add(agent.agent)
            if counts:
                group.setdefault(queue, set()).add(agent.agent)
            self.dirty.add(queue)


def waits(call: CallView) -> bool:
    """In line, whether or not somebody is being rung for it."""
    return call.state is CallState.WAITING and call.waits_until > 0
