"""Who gets in: Origin, cookie, ticket, tenant, role; and who is put out again."""

from __future__ import annotations

import pytest

from tests.realtime.client import Client
from tests.realtime.conftest import eventually
from web.shared.accounts import tickets
from web.shared.tenants.context import public_db, tenant_db

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.redis, pytest.mark.usefixtures("sockets")]


async def test_a_cookie_with_the_exact_origin_opens(person):
    asha = await person("agent", name="Asha")
    client = Client(cookie=asha.cookie)
    assert await client.open() is None
    hello = await client.until("hello")
    assert hello["data"]["user"]["name"] == "Asha"
    assert hello["data"]["user"]["role"] == "agent"
    assert "desk.use" in hello["data"]["user"]["permissions"]
    assert hello["data"]["tenant"] == {"id": "t_mto000000000", "slug": "mto", "name": "Mto"}
    assert (hello["data"]["ping_seconds"], hello["data"]["lost_seconds"]) == (5, 15)
    snapshot = await client.until("snapshot")
    assert snapshot["data"]["agent"]["id"] == asha.id
    assert snapshot["data"]["agent"]["effective"] == "offline"
    await client.close()


WRONG_ORIGINS = [
    None,
    "null",
    "http://ziwa.localhost",
    "http://mto.localhost.evil.example",
    "http://evilmto.localhost",
    "http://mto.localhost:8080",
    "http://mto.localhost/",
    "http://MTO.localhost",
    "ftp://mto.localhost",
    "http://mto.localhost\n",
]


async def test_any_other_origin_is_refused_in_the_handshake(person):
    cookie = (await person("agent")).cookie
    for origin in WRONG_ORIGINS:
        assert await Client(cookie=cookie, origin=origin).open() == 4403, origin


async def test_a_ticket_needs_no_origin_but_an_origin_that_comes_must_fit(person, tenants):
    somebody = await person("agent")
    user = somebody.user

    async def with_ticket(origin):
        ticket = await tenant_db(tenants[0].pk, tickets.issue, tenants[0].pk, user.pk)
        return Client(origin=origin, subprotocols=("murima.v1", f"ticket.{ticket}"))

    client = await with_ticket(None)
    assert await client.open() is None
    await client.until("snapshot")
    await client.close()
    assert await (await with_ticket("http://ziwa.localhost")).open() == 4403
    client = await with_ticket("")
    assert await client.open() is None
    await client.close()


async def test_a_ticket_opens_once_and_only_at_home(person, tenants):
    somebody = await person("agent")
    user = somebody.user
    ticket = await tenant_db(tenants[0].pk, tickets.issue, tenants[0].pk, user.pk)
    protocols = ("murima.v1", f"ticket.{ticket}")
    elsewhere = Client(host="ziwa.localhost", origin=None, subprotocols=protocols)
    assert await elsewhere.open() is None
    assert await elsewhere.until_closed() == 4401
    first = Client(origin=None, subprotocols=protocols)
    assert await first.open() is None
    await first.until("hello")
    again = Client(origin=None, subprotocols=protocols)
    assert await again.open() is None
    assert await again.until_closed() == 4401
    for made_up in ("ticket.", "ticket." + "x" * 500, "ticket.%00"):
        client = Client(origin=None, subprotocols=("murima.v1", made_up))
        assert await client.open() is None
        assert await client.until_closed() == 4401
    await first.close()


async def test_a_cookie_of_another_tenant_is_not_signed_in(person, other_tenant):
    stranger = await person("agent", tenant=other_tenant)
    for cookie in (stranger.cookie, "murima_session=nonsense", ""):
        client = Client(cookie=cookie)
        assert await client.open() is None
        assert await client.until_closed() == 4401


async def test_an_unknown_host_and_a_missing_subprotocol_are_refused(person):
    cookie = (await person("agent")).cookie
    assert await Client(cookie=cookie, host="nobody.localhost").open() == 4403
    assert await Client(cookie=cookie, host="mto.localhost\x00").open() == 4403
    assert await Client(cookie=cookie, subprotocols=()).open() == 4403
    assert await Client(cookie=cookie, subprotocols=("murima.v2",)).open() == 4403


RIGHTS = [
    ("/ws/v1/desk", "viewer", 4403),
    ("/ws/v1/floor", "agent", 4403),
    ("/ws/v1/wallboard", "agent", 4403),
    ("/ws/v1/floor", "supervisor", None),
    ("/ws/v1/wallboard", "viewer", None),
]


async def test_each_socket_asks_for_its_permission(person):
    people = {role: await person(role) for role in ("viewer", "agent", "supervisor")}
    for path, role, code in RIGHTS:
        client = Client(cookie=people[role].cookie, path=path)
        assert await client.open() is None
        if code is None:
            assert (await client.until("snapshot"))["data"]["queues"] == []
            await client.close()
        else:
            assert await client.until_closed() == code


async def test_other_paths_lead_nowhere(person):
    cookie = (await person("agent")).cookie
    for path in ("/ws/v1/desk%0A", "/ws/v1/desks", "/ws/v1/", "/ws/v1/../desk"):
        assert await Client(cookie=cookie, path=path).open() is not None


async def _inside(person):
    """An agent and their open socket, with everything told that signing in brings."""
    somebody = await person("agent")
    client = Client(cookie=somebody.cookie)
    await client.open()
    await client.until("snapshot")
    await _settled(somebody.user)
    return somebody.user, client


async def test_signing_out_ends_the_socket(person):
    from web.shared.accounts.models import Session

    user, client = await _inside(person)
    await public_db(lambda: Session.objects.get(user=user).delete())
    assert await client.until_closed(5) == 4401


async def test_losing_the_role_ends_the_socket(person, tenants):
    from web.shared.accounts.services import membership_ensure
    from web.shared.core.actor import system

    user, client = await _inside(person)
    await public_db(
        membership_ensure, actor=system("tests"), user=user, tenant_id=tenants[0].pk, role="viewer"
    )
    assert await client.until_closed(5) == 4403


async def test_a_deactivated_person_is_put_out(person):
    from web.shared.accounts.services import user_deactivate
    from web.shared.core.actor import system

    user, client = await _inside(person)
    await public_db(user_deactivate, actor=system("tests"), user=user)
    assert await client.until_closed(5) == 4401


async def test_rights_are_looked_at_again_without_being_told(person, monkeypatch):
    from web.shared.accounts.models import TenantMembership

    monkeypatch.setattr("realtime.consumers.base.LOOK_AGAIN_SECONDS", 0.2)
    monkeypatch.setattr("realtime.consumers.base.GUARD_SECONDS", 0.1)
    somebody = await person("agent")
    user = somebody.user
    client = Client(cookie=somebody.cookie)
    await client.open()
    await client.until("snapshot")
    await public_db(lambda: TenantMembership.objects.filter(user=user).update(is_active=False))  # no signal
    assert await client.until_closed(5) == 4401


async def test_a_client_that_falls_silent_is_let_go(person, monkeypatch):
    monkeypatch.setattr("realtime.messages.LOST_SECONDS", 1)
    monkeypatch.setattr("realtime.consumers.base.GUARD_SECONDS", 0.1)
    client = Client(cookie=(await person("agent")).cookie)
    await client.open()
    await client.until("snapshot")
    assert await client.until_closed(5) == 4408


async def test_one_person_has_a_bounded_number_of_sockets(person, monkeypatch):
    monkeypatch.setattr("realtime.consumers.base.SOCKETS_PER_USER", 2)
    cookie = (await person("agent")).cookie
    clients = [Client(cookie=cookie) for _ in range(3)]
    for client in clients:
        assert await client.open() is None
    assert await clients[2].until_closed() == 1013
    await clients[0].until("snapshot")
    await clients[0].close()
    await clients[1].close()
    again = Client(cookie=cookie)
    await again.open()
    await again.until("snapshot")
    await again.close()


async def _settled(user):
    """This person's only socket has joined its groups."""
    from realtime.consumers.base import sockets

    def joined():
        return [len(each._groups) for each in sockets if each.visitor.user == user.pk] == [3]

    await eventually(joined)
