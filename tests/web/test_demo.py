"""The demo's organisations: made once, the same afterwards, and nothing of it in production."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from telephony.contract.roster import DeviceKind
from web.shared.accounts.models import User
from web.shared.core.exits import Code, Exit
from web.shared.tenants.context import tenant_context
from web.tenant.calls import services
from web.tenant.calls.demo import world
from web.tenant.calls.models import AgentDevice, CallDisposition, CallQueue, NumberRoute, QueueMembership
from web.tenant.contacts import queries as contacts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def printed() -> dict[str, Any]:
    out = StringIO()
    call_command("demo_load", "--json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_it_makes_two_organisations_and_leaves_them_alone(tenants):
    first = printed()
    assert [tenant["slug"] for tenant in first["tenants"]] == ["amani", "umoja"]
    for tenant, one in zip(first["tenants"], world.ORGANISATIONS, strict=True):
        roles = [user["role"] for user in tenant["users"]]
        assert roles == ["admin", "supervisor", "agent", "agent", "agent"]
        assert [user["sip"] for user in tenant["users"] if "sip" in user]
        assert tenant["numbers"] == [{"number": number, "queue": name} for name, number in one.queues]
        with tenant_context(tenant["id"]):
            counts = (
                CallQueue.objects.count(), NumberRoute.objects.count(), QueueMembership.objects.count(),
                CallDisposition.objects.count(), AgentDevice.objects.count(),
            )  # fmt: skip
            assert counts == (2, 2, 12, len(one.dispositions), 4)
            name, surname, number, _ = one.contacts[0]
            assert [row.name for row in contacts.find_by_number(number)] == [f"{name} {surname}"]
            own = {user["sip"]["user"] for user in tenant["users"] if "sip" in user}
            desks = AgentDevice.objects.filter(kind=DeviceKind.SIP.value, desktop_required=True)
            assert set(desks.values_list("endpoint", flat=True)) == own
    assert printed() == first


def test_its_logins_work_and_follow_the_secret_key(tenants, settings):
    users = {user["email"]: user for tenant in printed()["tenants"] for user in tenant["users"]}
    login = users["agent1@amani.example"]
    assert _checks(login)
    settings.SECRET_KEY = "another" * 10
    renewed = {user["email"]: user for tenant in printed()["tenants"] for user in tenant["users"]}
    assert renewed[login["email"]]["password"] != login["password"]
    assert _checks(renewed[login["email"]]) and not _checks(login)
    amani = next(one["id"] for one in printed()["tenants"] if one["slug"] == "amani")
    phone = next(user for user in renewed.values() if "sip" in user)
    with tenant_context(amani):
        device = AgentDevice.objects.get(endpoint=phone["sip"]["user"])
    assert device.digest == services.digest_of(device.endpoint, phone["sip"]["password"])


def _checks(login: dict[str, Any]) -> bool:
    from web.shared.tenants.context import public_context

    with public_context():
        return User.objects.get(email=login["email"]).check_password(login["password"])


def test_it_is_refused_in_production(tenants, monkeypatch):
    monkeypatch.setattr("web.tenant.calls.management.commands.demo_load.KIND", "production")
    with pytest.raises(Exit) as refused:
        call_command("demo_load")
    assert refused.value.code == Code.PERMISSION
