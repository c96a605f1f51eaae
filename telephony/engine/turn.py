"""One turn of the floor: what a decision may see and do.

A decision states facts and orders commands, nothing else. A fact is applied the moment it is stated, so the
next line of the decision sees the world with it. Commands that ring agents are kept apart: they leave
first, because a caller's wait is made of them.
"""

from typing import Any

from telephony.contract.clock import Instant
from telephony.contract.frames import Entry
from telephony.contract.ids import AgentId, AskId, TenantId
from telephony.contract.view import AgentView, View, apply

from .book import Book
from .commands import Command, RingAgent
from .line import Index
from .machine import Go, Machine

Fired = dict[tuple[str, str, str, str], int]
"""(machine, state, trigger, state after) and how often: for metrics, and for the test that all rows fire."""


class Turn:
    """The writer of one step. `ask` marks the facts that an ask led to."""

    def __init__(
        self, view: View, index: Index, book: Book, fired: Fired, *, epoch: int, now: Instant
    ) -> None:
        self.view, self.index, self.book, self.now = view, index, book, now
        self.epoch = epoch
        self.ask: AskId | None = None
        self.entries: list[Entry] = []
        self.rings: list[Command] = []
        self.commands: list[Command] = []
        self._fired = fired

    def fact(self, fact: Any) -> None:
        """State what is now true; it holds from here on."""
        entry = Entry(
            tenant=TenantId(self.view.tenant),
            epoch=self.epoch,
            seq=self.view.seq + 1,
            at=self.now,
            fact=fact,
            ask=self.ask,
        )
        apply(self.view, entry)
        self.index.note(fact)
        self.entries.append(entry)

    def order(self, command: Command) -> None:
        (self.rings if isinstance(command, RingAgent) else self.commands).append(command)

    def agent(self, agent: AgentId) -> AgentView:
        return self.view.agents[agent]

    def run(self, machine: Machine[Any, Any], subject: Any, trigger: Any, *arguments: Any) -> str | None:
        """Carry out one row of a machine; returns why nothing changed, None when something did."""
        state = subject.state()
        row = machine.table[state, trigger]
        reason = row.do(self, *arguments) if row.do is not None else None
        key = (machine.name, state.value, trigger.value, subject.state().value)
        self._fired[key] = self._fired.get(key, 0) + 1
        return reason if isinstance(row, Go) else row.reason
