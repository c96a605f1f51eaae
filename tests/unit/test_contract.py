# mypy: disable-error-code="arg-type"
# Ids are plain strings in these stories.
"""The contract: ids, instants, and the fold where the engine's stories do not go."""

from datetime import UTC, datetime
from typing import Any

import pytest

from telephony.contract import clock, ids
from telephony.contract import facts as f
from telephony.contract.frames import Entry
from telephony.contract.view import RECENT_ASKS, View, apply
from tests.fakes.floor_story import TENANT, call_id
from tests.property.world import run

ANN: Any = "a"
CALL: Any = "c"


def entry(seq, fact, **rest):
    return Entry(tenant=TENANT, epoch=1, seq=seq, at=seq, fact=fact, **rest)


def test_an_entry_seen_before_changes_nothing_and_a_gap_is_refused():
    view = View(tenant=TENANT)
    apply(view, entry(1, f.DesktopSeen(agent=ANN, online=True)))
    apply(view, entry(1, f.DesktopSeen(agent=ANN, online=False)))
    assert view.agents[ANN].desktop
    with pytest.raises(ValueError, match="missing entries"):
        apply(view, entry(3, f.DesktopSeen(agent=ANN, online=False)))


def test_only_the_last_asks_are_remembered():
    view = View(tenant=TENANT)
    for n in range(1, RECENT_ASKS + 6):
        apply(view, entry(n, f.OwnerStarted(build="b"), ask=f"ask-{n}"))
    assert len(view.asks) == RECENT_ASKS
    assert next(iter(view.asks)) == "ask-6"


def test_a_wrap_up_that_is_not_there_cannot_be_extended():
    view = View(tenant=TENANT)
    apply(view, entry(1, f.WrapUpExtended(agent=ANN, call=CALL, deadline=9)))
    assert view.agents[ANN].wrap_up is None


def test_a_whole_log_folds_from_every_checkpoint_to_the_same_view():
    world = run(11, 250)
    for position in range(0, len(world.log), 17):
        assert world._recover(position) == world.floor.view


def test_no_fact_has_a_field_for_a_number_a_name_digits_or_free_text():
    forbidden = {"caller", "caller_number", "caller_name", "name", "digits", "note", "text", "dialled"}
    for kind in f.FACTS.values():
        assert not forbidden & set(kind.__dataclass_fields__), kind.__name__


def test_instants_are_exact_and_utc():
    moment = datetime(2026, 3, 29, 1, 59, 59, 999_999, tzinfo=UTC)
    assert clock.to_datetime(clock.from_datetime(moment)) == moment
    assert clock.to_text(clock.from_datetime(moment)) == "2026-03-29T01:59:59.999Z"
    with pytest.raises(ValueError):
        clock.from_datetime(datetime(2026, 1, 1))


def test_ids_are_checked():
    assert ids.tenant_id("t_0123456789ab")
    assert ids.endpoint("d0123456789ab")
    assert ids.split(ids.part(call_id(5), 7)) == (call_id(5), 7)
    assert str(ids.bridge(call_id(5), 7)) == str(ids.part(call_id(5), 7))
    for bad in ("", "t_0123456789a", "T_0123456789ab", "t_0123456789ab\n"):
        with pytest.raises(ValueError):
            ids.tenant_id(bad)
    for bad in ("", "1000", "d0123456789aB", "d0123456789ab\n"):
        with pytest.raises(ValueError):
            ids.endpoint(bad)
    for bad in ("channel", f"{call_id(1)}.0", f"{call_id(1)}.01", f"{call_id(1)}.1 "):
        assert ids.split(bad) is None
