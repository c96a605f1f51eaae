"""People, roles and teams of an organisation over REST, and who may give whom what."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.web.api_cases import ReadCases, ResourceCases
from tests.web.fixtures import PASSWORD, TENANTS
from tests.web.kit_events import at_once
from web.shared.accounts.models import Session, TeamMember, TenantMembership, TenantRole, TokenFamily
from web.shared.accounts.queries import team_user_ids
from web.shared.accounts.services import membership_ensure
from web.shared.core.actor import system
from web.shared.records.models import AuditEvent, DomainEvent
from web.shared.tenants.context import public_context, tenant_context

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.redis]
USERS, ROLES, TEAMS = (f"/api/v1/auth/{name}/" for name in ("users", "roles", "teams"))
MTO, ZIWA = (pk for pk, _ in TENANTS)
ANY = {"HTTP_IF_MATCH": "*"}


class TestUsers(ReadCases):
    url = USERS
    may_view, may_not = "supervisor", "agent"
    sorts = ("joined_at", "-joined_at", "name", "-email")

    def make(self, tenant: Any, **values: Any) -> str:
        return str(self.make_user("agent", tenant=tenant).pk)


class TestTeams(ResourceCases):
    url = TEAMS
    created: ClassVar[dict[str, Any]] = {"name": "Evening shift"}
    updated: ClassVar[dict[str, Any]] = {"name": "Night shift"}
    refused: ClassVar[dict[str, Any]] = {"name": ""}
    may_view, may_edit, may_delete, may_not = "supervisor", "admin", "admin", "agent"
    _count = 0

    def make(self, tenant: Any, **values: Any) -> str:
        TestTeams._count += 1
        return super().make(tenant, name=f"Team {TestTeams._count}", **values)


def etag(client, url):
    return {"HTTP_IF_MATCH": client.get(url)["ETag"]}


def person_url(user):
    return f"{USERS}{user.pk}/"


# --- people -------------------------------------------------------------------------------------------------


def test_a_person_is_shown_with_role_teams_and_whether_a_second_factor_is_there(make_user, api):
    admin, agent = api(make_user("admin")), make_user("agent", name="Amina")
    team = admin.post(TEAMS, {"name": "Day", "members": [str(agent.pk)]}).json()
    assert team["members"] == [str(agent.pk)]
    shown = admin.get(person_url(agent)).json()
    assert shown["id"] == str(agent.pk) and shown["name"] == "Amina" and shown["email"] == agent.email
    assert shown["role"] == "agent" and shown["teams"] == [team["id"]]
    assert shown["has_second_factor"] is False and shown["is_active"] is True
    found = admin.get(f"{USERS}?q=amin&role=agent,viewer&team={team['id']}").json()["data"]
    assert [one["id"] for one in found] == [str(agent.pk)]
    assert admin.get(f"{USERS}?team={uuid.uuid4()}").json()["data"] == []
    assert admin.get(f"{USERS}?team=x").status_code == 400


def test_a_list_of_people_costs_the_same_however_many_there_are(make_user, api):
    admin = api(make_user("admin"))
    admin.get(USERS)
    with CaptureQueriesContext(
        connection,
    ) as few:
        admin.get(USERS)
    for _ in range(5):
        make_user("agent")
    with CaptureQueriesContext(connection) as many:
        assert len(admin.get(USERS).json()["data"]) == 6
    assert len(few) == len(many)


def test_another_role_counts_at_once_and_ends_the_tokens(make_user, api):
    admin, agent = api(make_user("admin")), make_user("agent")
    token = api().post("/api/v1/auth/token/", {"email": agent.email, "password": PASSWORD}).json()
    browser = api(agent)
    assert browser.get(USERS).status_code == 403
    url = person_url(agent)
    done = admin.patch(url, {"role": "supervisor"}, **etag(admin, url))
    assert done.status_code == 200 and done.json()["role"] == "supervisor", done.content
    assert browser.get(USERS).status_code == 200
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {token['access_token']}"}
    assert api().get("/api/v1/auth/me/", **bearer).status_code == 401
    with tenant_context(MTO):
        said = AuditEvent.objects.get(action="update", object_type="accounts.tenantmembership")
        assert said.changes == {"fields": ["role"], "role": "supervisor"}
        assert DomainEvent.objects.get(type="user.changed").object_id == agent.pk


def test_who_is_deactivated_is_out_here_and_stays_in_elsewhere(make_user, api, tenants):
    admin, agent = api(make_user("admin")), make_user("agent")
    with public_context():
        membership_ensure(actor=system("tests"), user=agent, tenant_id=ZIWA, role="agent")
    here, there = api(agent), api(agent, tenant=tenants[1])
    assert admin.delete(person_url(agent), **etag(admin, person_url(agent))).status_code == 204
    assert here.get("/api/v1/auth/me/").status_code == 401
    assert there.get("/api/v1/auth/me/").status_code == 200
    with public_context():
        assert set(Session.objects.filter(user=agent).values_list("tenant_id", flat=True)) == {ZIWA}
        assert not TokenFamily.objects.filter(user=agent, tenant_id=MTO, revoked_at=None).exists()
    assert admin.get(person_url(agent)).json()["is_active"] is False
    back = admin.patch(person_url(agent), {"is_active": True}, **ANY)
    assert back.status_code == 200 and api(agent).get("/api/v1/auth/me/").status_code == 200


def test_the_last_administrator_stays(make_user, api):
    admin = make_user("admin")
    client, url = api(admin), person_url(admin)
    for change in ({"role": "agent"}, {"is_active": False}):
        refused = client.patch(url, change, **ANY)
        assert refused.status_code == 409 and refused.json()["code"] == "last_administrator"
    assert client.delete(url, **ANY).status_code == 409
    narrowed = client.patch(f"{ROLES}admin/", {"permissions": {"users.manage": "team"}}, **ANY)
    assert narrowed.status_code == 409
    assert client.patch(f"{ROLES}admin/", {"is_active": False}, **ANY).status_code == 409
    assert client.get(url).json()["role"] == "admin"
    make_user("admin")
    assert client.patch(url, {"role": "agent"}, **ANY).status_code == 200


def test_foreign_ids_in_a_body_are_unknown_and_nothing_happens(make_user, api, tenants):
    admin, agent = api(make_user("admin")), make_user("agent")
    theirs = api(make_user("admin", tenant=tenants[1]), tenant=tenants[1])
    stranger = make_user("agent", tenant=tenants[1])
    foreign = theirs.post(TEAMS, {"name": "Theirs"}).json()["id"]
    theirs.post(ROLES, {"name": "theirs", "display_name": "Theirs", "permissions": {}})
    said = set()
    for body, pointer in (
        ({"teams": [foreign]}, "/teams/0"),
        ({"teams": [str(uuid.uuid4())]}, "/teams/0"),
        ({"role": "theirs"}, "/role"),
        ({"role": "nowhere"}, "/role"),
    ):
        answer = admin.patch(person_url(agent), body, **ANY)
        error = answer.json()["errors"][0]
        assert answer.status_code == 422 and (error["pointer"], error["code"]) == (pointer, "does_not_exist")
        said.add((pointer, error["detail"].replace("theirs", "").replace("nowhere", "")))
    assert len(said) == 2
    answer = admin.post(TEAMS, {"name": "New", "members": [str(agent.pk), str(stranger.pk)]})
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/members/1"
    assert admin.get(TEAMS).json()["data"] == []
    assert admin.patch(person_url(stranger), {"role": "admin"}, **ANY).status_code == 404


def test_teams_reach_as_far_as_the_scope_team(make_user, api):
    admin, one, two = api(make_user("admin")), make_user("agent"), make_user("agent")
    team = admin.post(TEAMS, {"name": "Day", "members": [str(one.pk)]}).json()
    done = admin.patch(person_url(two), {"teams": [team["id"]]}, **ANY)
    assert done.status_code == 200 and done.json()["teams"] == [team["id"]]
    with public_context():
        assert team_user_ids(MTO, one.pk) == {one.pk, two.pk}
    url = f"{TEAMS}{team['id']}/"
    left = admin.patch(url, {"members": [str(two.pk)]}, **etag(admin, url))
    assert left.json()["members"] == [str(two.pk)]
    with public_context():
        assert team_user_ids(MTO, one.pk) == frozenset()
    assert admin.post(TEAMS, {"name": "Day"}).json()["errors"][0]["code"] == "unique"
    assert admin.delete(url, **ANY).status_code == 204
    with public_context():
        assert not TeamMember.objects.exists()


# --- roles --------------------------------------------------------------------------------------------------


@pytest.fixture
def deputy(make_user, api):
    """Somebody who may manage people and little else, and their client."""
    with public_context():
        TenantRole.objects.create(
            tenant_id=MTO,
            name="deputy",
            display_name="Deputy",
            permissions={"users.view": "all", "users.manage": "all", "contacts.view": "team"},
        )
    return api(make_user("deputy"))


def test_a_role_is_made_changed_and_removed(make_user, api):
    admin = api(make_user("admin"))
    body = {"name": "night", "display_name": "Night", "permissions": {"contacts.view": "own"}}
    made = admin.post(ROLES, body)
    assert made.status_code == 201 and made["Location"] == f"{ROLES}night/", made.content
    assert made.json()["is_system_role"] is False and made.json()["id"] == "night"
    assert admin.post(ROLES, body).json()["errors"][0]["pointer"] == "/name"
    for wrong in ({"contacts.view": "everywhere"}, {"nonsense": "all"}, {"contacts.view": 1}):
        refused = admin.post(ROLES, {**body, "name": "other", "permissions": wrong})
        assert refused.status_code == 422, wrong
    url = f"{ROLES}night/"
    changed = admin.patch(url, {"display_name": "Late"}, **etag(admin, url))
    assert changed.json()["display_name"] == "Late" and changed["ETag"] == '"2"'
    assert admin.patch(url, {"name": "late"}, **ANY).status_code == 422
    stale = admin.patch(url, {"display_name": "x"}, HTTP_IF_MATCH='"1"')
    assert stale.status_code == 412
    assert admin.delete(url, **ANY).status_code == 204 and admin.get(url).status_code == 404
    assert admin.delete(f"{ROLES}viewer/", **ANY).status_code == 409


def test_a_shipped_role_becomes_ones_own_when_it_is_changed(make_user, api):
    admin = api(make_user("admin"))
    url = f"{ROLES}viewer/"
    before = admin.get(url).json()
    assert before["is_system_role"] is True
    after = admin.patch(url, {"permissions": {"contacts.view": "own"}}, **ANY).json()
    assert after["is_system_role"] is False and after["permissions"] == {"contacts.view": "own"}
    with public_context():
        assert TenantRole.objects.get(tenant_id=ZIWA, name="viewer").permissions != after["permissions"]


def test_nobody_gives_what_they_do_not_hold(make_user, api, deputy):
    agent = make_user("agent")
    refusals = [
        deputy.patch(person_url(agent), {"role": "admin"}, **ANY),
        deputy.post(ROLES, {"name": "x1", "display_name": "X", "permissions": {"contacts.view": "all"}}),
        deputy.patch(f"{ROLES}deputy/", {"permissions": {"users.manage": "all", "desk.use": "own"}}, **ANY),
        deputy.patch(f"{ROLES}admin/", {"permissions": {}}, **ANY),
        deputy.patch(person_url(make_user("admin")), {"is_active": False}, **ANY),
        deputy.post("/api/v1/auth/invitations/", {"email": "new@example.org", "role": "admin"}),
    ]
    for answer in refusals:
        assert answer.status_code == 403 and answer.json()["code"] == "beyond_your_rights", answer.content
        assert answer.json()["permission"]
    fine = {"name": "x2", "display_name": "X", "permissions": {"contacts.view": "own"}}
    assert deputy.post(ROLES, fine).status_code == 201
    with public_context():
        assert TenantMembership.objects.get(user=agent).role.name == "agent"


def test_roles_of_another_organisation_are_not_there(make_user, api, tenants):
    theirs = api(make_user("admin", tenant=tenants[1]), tenant=tenants[1])
    theirs.post(ROLES, {"name": "theirs", "display_name": "Theirs", "permissions": {}})
    admin = api(make_user("admin"))
    assert admin.get(f"{ROLES}theirs/").status_code == 404
    assert admin.delete(f"{ROLES}theirs/", **ANY).status_code == 404
    assert "theirs" not in {one["id"] for one in admin.get(f"{ROLES}?limit=200").json()["data"]}


def test_the_catalogue_lists_every_code(make_user, api):
    listed = api(make_user("supervisor")).get("/api/v1/auth/permissions/").json()["data"]
    assert {"code": "users.manage", "label": "Invite people and give them roles"} in listed
    assert api(make_user("agent")).get("/api/v1/auth/permissions/").status_code == 403


@pytest.mark.django_db(transaction=True)
def test_two_administrators_cannot_demote_each_other_at_once(make_user, api):
    one, two = make_user("admin"), make_user("admin")

    def demote(client: Any, other: Any) -> Any:
        return lambda: client.patch(person_url(other), {"role": "agent"}, **ANY).status_code

    answers = at_once(demote(api(one), two), demote(api(two), one))
    with public_context():
        left = TenantMembership.objects.filter(tenant_id=MTO, role__name="admin", is_active=True).count()
    assert left == 1 and answers.count(200) == 1, answers
