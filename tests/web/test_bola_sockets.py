"""A desk that names another organisation's call or offer is refused, for every message that names one.

A socket's message is turned into an ask by realtime.asking.BUILD and decided by the floor of the socket's own
tenant; nothing in a message says which tenant that is. So each message is built with an id that is alive at
another organisation and told to this one's floor: no fact may follow, nor any order to the switch.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from realtime import messages
from realtime.asking import BUILD
from telephony.engine import events as e
from telephony.engine.commands import Answer
from tests.fakes.floor_story import Story

NAMING = {"call", "offer", "agent", "queue", "target"}
# Stored first, by calls.services in the socket's own tenant, because it may be older than its call's row; the
# floor then refuses a call that it does not have, like every other ask.
ELSEWHERE = {"wrapup.finish"}
SAMPLES: dict[str, Any] = {"digits": "1", "muted": True, "reason": "", "disposition": "x", "note": ""}


def naming() -> dict[str, type[Any]]:
    """Message → its data, for every message of a client that names something by id."""
    taken = [one for channel in (messages.DESK, messages.FLOOR, messages.WALLBOARD) for one in channel.takes]
    fields = {one.name: {field.name for field in msgspec.structs.fields(one.data)} for one in taken}
    return {one.name: one.data for one in taken if fields[one.name] & NAMING}


def test_every_message_that_names_something_is_walked():
    assert naming().keys() - ELSEWHERE <= BUILD.keys()
    assert len(naming()) >= 7


@pytest.mark.parametrize("kind", sorted(naming().keys() - ELSEWHERE))
def test_an_id_of_another_organisation_moves_nothing(kind):
    mine, theirs = Story(), Story()
    own, agent = mine.talks()
    theirs.callers = 77
    foreign, _ = theirs.talks("zed")
    offered = theirs.enters()
    theirs.ready("yan")
    offer = theirs.call(offered).offer
    assert offer is not None and foreign not in mine.floor.view.calls and offered not in mine.floor.view.calls
    ids = {"call": foreign, "offer": offer.offer}
    fields = [field.name for field in msgspec.structs.fields(naming()[kind])]
    data = naming()[kind](**{name: ids.get(name, SAMPLES.get(name)) for name in fields})
    before, elsewhere = len(mine.log), len(theirs.log)
    answer = mine.ask(BUILD[kind](agent, data))
    assert not answer.ok and answer.code in ("unknown_call", "not_yours", "wrong_state"), answer
    assert len(mine.log) == before and len(theirs.log) == elsewhere
    assert [type(one) for one in mine.last.commands] == [Answer]
    assert mine.call(own).agent == agent
    mine.tell(e.CallerGone(call=own))
