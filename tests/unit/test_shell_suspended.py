"""A suspended tenant's new callers are given back with a named outcome; its live calls go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

from telephony.contract.ids import TenantId
from telephony.ports import switch as s
from telephony.ports.published import Suspended
from telephony.shell.directory import Directory
from telephony.shell.interpret import GiveBack, Interpreter
from telephony.shell.keeping import Publications
from telephony.shell.parties import Parties
from tests.fakes import publication

ONE, TWO = TenantId("t_one000000000"), TenantId("t_two000000000")


class Nothing:
    """Stands for what this path must not need."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def came(channel: str, dialled: str) -> s.CallerCame:
    return s.CallerCame(
        node="n1",
        channel=channel,
        trunk="trunk",
        dialled=dialled,
        number="+254700000001",
        name="",
        first_arrival=1,
    )


async def test_publications_fill_the_directory_and_empty_it_again() -> None:
    directory, seen = Directory(), []

    class Source:
        async def updates(self) -> AsyncIterator[Suspended]:
            for tenants in ({ONE}, {ONE, TWO}, set[TenantId]()):
                yield Suspended(tenants=frozenset(tenants))
                seen.append(set(directory.suspended))

    nothing: Any = Nothing()
    source: Any = Source()
    await Publications(source, nothing, directory, nothing, nothing, lambda _: None).run()
    assert seen == [{ONE}, {ONE, TWO}, set()]


def test_only_the_suspended_tenants_callers_are_given_back() -> None:
    directory = Directory()
    directory.policy(publication.policy(ONE, "+254711000001"))
    directory.policy(publication.policy(TWO, "+254711000002"))
    interpreter = Interpreter(directory, cast(Parties, Nothing()))
    before = interpreter.came(came("c1", "+254711000001"), 1)
    assert not isinstance(before, GiveBack) and before[0] == ONE
    directory.suspended = frozenset({ONE})
    assert interpreter.came(came("c2", "+254711000001"), 2) == GiveBack("c2", "suspended")
    other = interpreter.came(came("c3", "+254711000002"), 3)
    assert not isinstance(other, GiveBack) and other[0] == TWO
    # The call that had entered before is still its floor's: its end is told as ever.
    ended = interpreter.read(s.ChannelEnded(node="n1", channel="c1", cause=16), 4)
    assert not isinstance(ended, GiveBack) and ended is not None and ended[0] == ONE
