"""What Django tells a person reaches their open sockets in that organisation, and nobody else's."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import transaction

from tests.realtime.client import Client
from web.shared.core import push
from web.shared.tenants.context import tenant_db

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.redis, pytest.mark.usefixtures("sockets")]


def card(title: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "title": title,
        "message": f"About {title}",
        "type": "task.assigned",
        "entity": {"type": "task", "id": str(uuid.uuid4())},
        "urgent": False,
        "needs_acknowledgement": False,
    }


async def tell(tenant: Any, user: Any, *cards: dict[str, Any], fails: bool = False) -> None:
    def work() -> None:
        with transaction.atomic():
            for each in cards:
                push.to_user(tenant.pk, user.pk, "notice", each)
            if fails:
                raise RuntimeError

    if fails:
        with pytest.raises(RuntimeError):
            await tenant_db(tenant.pk, work)
    else:
        await tenant_db(tenant.pk, work)


async def open_socket(person: Any, tenant: Any, path: str = "/ws/v1/desk") -> Client:
    """Open, and a member of its groups: told by a round trip that only a joined socket answers."""
    client = Client(host=f"{tenant.name.lower()}.localhost", cookie=person.cookie, path=path)
    assert await client.open() is None
    await client.until("hello")
    return client


async def noticed(client: Client) -> dict[str, Any]:
    while True:
        frame = await client.until("notice")
        if frame["data"]["code"] == "notification":
            return dict(frame["data"])


async def joined(tenant: Any, person: Any, *clients: Client) -> None:
    """Tell until each has heard: joining a group happens after the handshake."""
    for client in clients:
        for _ in range(200):
            await tell(tenant, person.user, card("hello"))
            if not await client.socket.receive_nothing(timeout=0.05):
                frame = await client.next()
                if frame["type"] == "notice" and frame["data"]["code"] == "notification":
                    break
        else:
            raise AssertionError("the socket never joined")


async def test_every_screen_of_the_person_hears_what_was_committed(tenants, person):
    boss = await person("supervisor")
    desk = await open_socket(boss, tenants[0])
    floor = await open_socket(boss, tenants[0], "/ws/v1/floor")
    await joined(tenants[0], boss, desk, floor)
    lost, first, second = card("lost"), card("first"), card("second")
    await tell(tenants[0], boss.user, lost, fails=True)
    await tell(tenants[0], boss.user, first, second)
    for client in (desk, floor):
        seen: list[dict[str, Any]] = []
        while len(seen) < 2:
            data = await noticed(client)
            if data["detail"] != "hello":
                seen.append(data)
        assert [data["notification"] for data in seen] == [first, second]
        assert seen[0]["level"] == "info" and seen[0]["detail"] == "first"
        await client.close()


async def test_the_same_person_hears_in_each_organisation_only_what_is_its_own(tenants, person):
    mine = await person("supervisor", tenant=tenants[0], email="both@example.org")
    theirs = await person("supervisor", tenant=tenants[1], email="both@example.org")
    assert mine.id == theirs.id
    here, there = await open_socket(mine, tenants[0]), await open_socket(theirs, tenants[1])
    await joined(tenants[0], mine, here)
    await joined(tenants[1], theirs, there)
    await tell(tenants[1], mine.user, card("of the second"))
    await tell(tenants[0], mine.user, card("of the first"))
    for client, own, other in (
        (here, "of the first", "of the second"),
        (there, "of the second", "of the first"),
    ):
        while (data := await noticed(client))["detail"] != own:
            assert data["detail"] != other
        await client.close()
    heard = [frame["data"].get("detail") for frame in here.frames if frame["type"] == "notice"]
    assert "of the second" not in heard


async def test_a_colleague_and_a_wall_hear_nothing(tenants, person):
    boss, colleague = await person("supervisor"), await person("supervisor")
    desk, other = await open_socket(boss, tenants[0]), await open_socket(colleague, tenants[0])
    wall = await open_socket(boss, tenants[0], "/ws/v1/wallboard")
    await joined(tenants[0], boss, desk)
    await joined(tenants[0], colleague, other)
    await tell(tenants[0], boss.user, card("for one"))
    while (await noticed(desk))["detail"] != "for one":
        pass
    await tell(tenants[0], colleague.user, card("for the other"))
    while (data := await noticed(other))["detail"] != "for the other":
        assert data["detail"] == "hello"
    answer = await wall.ask("ping")
    assert answer["type"] == "pong"
    assert not [frame for frame in wall.frames if frame["data"].get("code") == "notification"]
    for client in (desk, other, wall):
        await client.close()
