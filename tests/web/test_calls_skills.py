"""Skills and hours: edited over REST, published to the daemon in the transaction of the change."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.web.api_cases import ResourceCases
from web.shared.core import published
from web.shared.core.actor import system
from web.tenant.calls import services, skills

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")
QUEUES = "/api/v1/calls/queues/"
SKILLS = "/api/v1/calls/skills/"
AGENT_SKILLS = "/api/v1/calls/agent-skills/"
CALENDARS = "/api/v1/cases/calendars/"
WEEK = {"monday": [["08:00", "17:00"]]}


class TestSkills(ResourceCases):
    url = SKILLS
    created = {"code": "swahili", "name": "Kiswahili"}
    updated = {"name": "Swahili"}
    refused = {"code": "not a code"}

    def make(self, tenant: Any, **values: Any) -> str:
        code = f"s-{uuid.uuid4().hex[:8]}"
        return str(skills.skill_create(actor=ACTOR, values={"code": code, "name": "A", **values}).pk)


@pytest.fixture
def queue(tenant: Any, make_user: Any) -> Any:
    return services.queue_create(actor=ACTOR, values={"name": "Help"})


def serves(tenant: Any, user: Any) -> list[str]:
    rows = [row for row in published.roster(tenant.pk) if row.agent == str(user.pk)]
    return [str(name) for row in rows for name, _ in row.memberships]


def test_an_agent_serves_a_queue_only_with_every_skill_that_it_asks_for(
    tenant: Any, queue: Any, make_user: Any, api: Any
) -> None:
    boss, agent = api(make_user("supervisor")), make_user("agent")
    services.member_add(actor=ACTOR, queue=queue, user_id=agent.pk)
    assert serves(tenant, agent) == [str(queue.pk)]
    skill = boss.post(SKILLS, {"code": "sign", "name": "Sign language"}).json()["id"]
    at = f"{QUEUES}{queue.pk}/"
    asked = boss.patch(at, {"skills": [{"skill": skill, "least_level": 5}]}, HTTP_IF_MATCH="*")
    assert asked.status_code == 200, asked.content
    assert asked.json()["skills"] == [{"skill": skill, "least_level": 5}]
    assert serves(tenant, agent) == []
    has = boss.post(AGENT_SKILLS, {"user": str(agent.pk), "skill": skill, "level": 4})
    assert has.status_code == 201, has.content
    assert serves(tenant, agent) == []
    own = f"{AGENT_SKILLS}{has.json()['id']}/"
    assert boss.patch(own, {"level": 5}, HTTP_IF_MATCH="*").status_code == 200
    assert serves(tenant, agent) == [str(queue.pk)]
    assert boss.delete(own, HTTP_IF_MATCH="*").status_code == 204
    assert serves(tenant, agent) == []
    assert boss.patch(f"{SKILLS}{skill}/", {"is_active": False}, HTTP_IF_MATCH="*").status_code == 200
    assert serves(tenant, agent) == [str(queue.pk)]


def test_bad_lists_of_skills_are_refused_and_change_nothing(queue: Any, make_user: Any, api: Any) -> None:
    boss = api(make_user("supervisor"))
    skill = boss.post(SKILLS, {"code": "sign", "name": "Sign language"}).json()["id"]
    at = f"{QUEUES}{queue.pk}/"
    for wrong in (
        [{"skill": skill, "least_level": 0}],
        [{"skill": skill, "least_level": 11}],
        [{"skill": str(uuid.uuid4())}],
        [{"skill": skill}, {"skill": skill}],
        [{"skill": skill, "nonsense": 1}],
        "sign",
    ):
        answer = boss.patch(at, {"skills": wrong}, HTTP_IF_MATCH="*")
        assert answer.status_code == 422, answer.content
    assert boss.get(at).json()["skills"] == []


def test_a_skill_in_use_cannot_be_deleted_and_nobody_has_it_twice(
    queue: Any, make_user: Any, api: Any, tenants: Any
) -> None:
    boss, agent = api(make_user("supervisor")), make_user("agent")
    skill = boss.post(SKILLS, {"code": "sign", "name": "Sign language"}).json()["id"]
    body = {"user": str(agent.pk), "skill": skill}
    first = boss.post(AGENT_SKILLS, body)
    assert first.status_code == 201 and first.json()["level"] == 10
    assert boss.post(AGENT_SKILLS, body).status_code == 409
    assert boss.delete(f"{SKILLS}{skill}/", HTTP_IF_MATCH="*").status_code == 409
    stranger = make_user("agent", tenant=tenants[1])
    refused = boss.post(AGENT_SKILLS, {"user": str(stranger.pk), "skill": skill})
    assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == "/user"


def test_a_queues_hours_are_published_and_follow_their_calendar(
    tenant: Any, queue: Any, make_user: Any, api: Any
) -> None:
    admin = api(make_user("admin"))
    made = admin.post(CALENDARS, {"name": "Office", "zone": "Africa/Nairobi", "weekly": WEEK})
    assert made.status_code == 201, made.content
    calendar = made.json()["id"]
    at = f"{QUEUES}{queue.pk}/"
    assert admin.patch(at, {"hours": calendar}, HTTP_IF_MATCH="*").status_code == 200
    assert _hours(tenant, queue).zone == "Africa/Nairobi"
    own = f"{CALENDARS}{calendar}/"
    assert admin.patch(own, {"zone": "Europe/Berlin"}, HTTP_IF_MATCH="*").status_code == 200
    assert _hours(tenant, queue).zone == "Europe/Berlin"
    assert admin.delete(own, HTTP_IF_MATCH="*").status_code == 409
    assert admin.patch(at, {"hours": None}, HTTP_IF_MATCH="*").status_code == 200
    assert _hours(tenant, queue) is None
    assert admin.delete(own, HTTP_IF_MATCH="*").status_code == 204
    refused = admin.patch(at, {"hours": str(uuid.uuid4())}, HTTP_IF_MATCH="*")
    assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == "/hours"


def _hours(tenant: Any, queue: Any) -> Any:
    policy = published.policy(tenant.pk)
    assert policy is not None
    return next(one for one in policy.queues.values() if one.queue == str(queue.pk)).hours
