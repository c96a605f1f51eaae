"""Several clients make cases at once, and each sends what it has no answer to again: whatever the order.

One key is one case, however often and from however many sides it was sent; another body under the key is
refused; numbers have no hole and no double, also when some requests were refused after a number was drawn.
"""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web import kit_cases as kit
from tests.web.kit_events import at_once, raised
from web.shared.tenants.context import tenant_context
from web.tenant.cases.models import Case

pytestmark = [pytest.mark.database]
URL = "/api/v1/cases/"
CLIENTS = 3
BODIES = ("one", "another", "refused")
TRIES = 100

attempts = st.tuples(st.integers(0, 3), st.sampled_from(BODIES))
"""(which key, what is sent under it)."""


def _body(kind: Any, what: str) -> dict[str, Any]:
    """The last is refused when its number was drawn: two parties cannot both be the primary one."""
    parties = [{"name": name, "role": "witness", "is_primary": what == "refused"} for name in ("A", "B")]
    return {"title": what, "case_type": str(kind.pk), "parties": parties}


def _insist(client: Any, body: dict[str, Any], key: str) -> Any:
    """As a client should: while the same request runs elsewhere, ask again a little later."""
    for _ in range(TRIES):
        answer = client.post(URL, body, HTTP_IDEMPOTENCY_KEY=key)
        if answer.status_code != 409:
            return answer
        time.sleep(0.01)
    raise AssertionError("the other request never ended")


@pytest.mark.timeout(120)
@pytest.mark.django_db(transaction=True)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(plans=st.lists(st.lists(attempts, max_size=5), min_size=CLIENTS, max_size=CLIENTS))
def test_whatever_is_sent_again_is_made_once_and_numbers_have_no_hole(tenants, make_user, api, plans):
    with tenant_context(tenants[0].pk):
        kind = kit.category()
        before = Case.objects.count()
    user, keys = make_user("case_worker"), [uuid.uuid4().hex for _ in range(4)]

    def work(client: Any, plan: list[tuple[int, str]]) -> Any:
        return lambda: [(key, what, _insist(client, _body(kind, what), keys[key])) for key, what in plan]

    found = at_once(*(work(api(user), plan) for plan in plans))
    assert raised(found) == [None] * CLIENTS
    answers: dict[int, list[tuple[str, Any]]] = defaultdict(list)
    for key, what, answer in (one for each in found for one in each):
        answers[key].append((what, answer))
    made = {key: each for key, each in answers.items() if any(what != "refused" for what, _ in each)}
    for each in made.values():
        ids = {answer.json()["id"] for _, answer in each if answer.status_code == 201}
        titles = {what for what, answer in each if answer.status_code == 201}
        assert len(ids) == 1 and len(titles) == 1 and titles != {"refused"}
        replayed = [answer for _, answer in each if answer.get("Idempotent-Replayed") == "true"]
        assert len(replayed) == sum(answer.status_code == 201 for _, answer in each) - 1
        others = {answer.status_code for what, answer in each if what not in titles}
        assert others <= {422}
    with tenant_context(tenants[0].pk):
        numbers = sorted(Case.objects.values_list("case_number", flat=True))
    year = timezone.now().year
    assert numbers == [f"{year}-{count:06d}" for count in range(1, before + len(made) + 1)]
