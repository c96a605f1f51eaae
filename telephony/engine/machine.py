"""Small machines, written as tables.

A machine is a set of states, a set of triggers and one row for every pair: `Go` names the decision and the
states it may lead to, `Ignore` says in a sentence why nothing changes. A pair without a row stops the
import, and so does a pair with two, so nothing is ignored by accident. The README's diagrams are drawn from
these tables, and every row that fired is counted, so a test can ask which never did.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

S = TypeVar("S", bound=Enum)
T = TypeVar("T", bound=Enum)


class Refused(Exception):
    """An ask cannot be done. Raised before the first fact: a refusal changes nothing."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Go(Generic[S]):
    """A transition. `do` returns None, or why it found nothing to change."""

    do: Callable[..., str | None]
    to: tuple[S, ...]


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing changes; `do` may still order a command that repairs the world outside."""

    reason: str
    do: Callable[..., str | None] | None = None


class Machine(Generic[S, T]):
    """A complete table. Raises ValueError at import when a pair has no row or two."""

    def __init__(
        self, name: str, states: type[S], triggers: type[T], *parts: dict[tuple[S, T], Go[S] | Ignore]
    ):
        self.name, self.states, self.triggers = name, states, triggers
        self.table: dict[tuple[S, T], Go[S] | Ignore] = {}
        for part in parts:
            twice = [pair for pair in part if pair in self.table]
            if twice:
                raise ValueError(f"{name}: {twice[0]} has two rows")
            self.table.update(part)
        for state in states:
            for trigger in triggers:
                if (state, trigger) not in self.table:
                    raise ValueError(f"{name}: no row for ({state.value}, {trigger.value})")


def go(
    states: Iterable[S], triggers: Iterable[T], do: Callable[..., str | None], *to: S
) -> dict[tuple[S, T], Go[S] | Ignore]:
    """The same transition for every pair, leading to one of `to`."""
    return {(s, t): Go(do, to) for s in states for t in triggers}


def stay(
    states: Iterable[S], triggers: Iterable[T], do: Callable[..., str | None]
) -> dict[tuple[S, T], Go[S] | Ignore]:
    """The same decision for every pair, each staying in its state."""
    return {(s, t): Go(do, (s,)) for s in states for t in triggers}


def ignore(
    states: Iterable[S], triggers: Iterable[T], reason: str, do: Callable[..., str | None] | None = None
) -> dict[tuple[S, T], Go[S] | Ignore]:
    """The same reason for every pair."""
    return {(s, t): Ignore(reason, do) for s in states for t in triggers}
