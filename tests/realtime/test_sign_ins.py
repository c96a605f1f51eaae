"""A socket ends with the sign-in behind it, whatever kind that was, within five seconds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.realtime.client import Client
from tests.realtime.conftest import eventually
from tests.web.fixtures import PASSWORD
from web.shared.accounts.models import TokenFamily
from web.shared.accounts.services import password_set
from web.shared.core.actor import system
from web.shared.tenants.context import public_db

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.redis, pytest.mark.usefixtures("sockets")]
AUTH = "/api/v1/auth/"


async def call(function: Any, *args: Any, **kwargs: Any) -> Any:
    return await asyncio.to_thread(function, *args, **kwargs)


async def ticket_socket(http: Any, user: Any, **headers: Any) -> Client:
    made = await call(http.post, f"{AUTH}tickets/", **headers)
    assert made.status_code == 201, made.content
    client = Client(origin=None, subprotocols=("murima.v1", f"ticket.{made.json()['ticket']}"))
    assert await client.open() is None
    await client.until("snapshot")
    await settled(user)
    return client


async def settled(user: Any) -> None:
    from realtime.consumers.base import sockets

    def joined() -> bool:
        mine = [len(each._groups) for each in sockets if each.visitor.user == user.pk]
        return bool(mine) and all(count == 3 for count in mine)

    await eventually(joined)


@pytest.fixture
def token(api):
    async def make(user: Any) -> dict[str, str]:
        body = {"email": user.email, "password": PASSWORD}
        pair = (await call(api().post, f"{AUTH}token/", body)).json()
        return {"HTTP_AUTHORIZATION": f"Bearer {pair['access_token']}"}

    return make


async def test_a_ticket_of_an_api_client_ends_with_its_tokens(person, api, token):
    user = (await person("agent")).user
    bearer = await token(user)
    client = await ticket_socket(await call(api), user, **bearer)
    kept = await call(api, user)
    rows = (await call(kept.get, f"{AUTH}sessions/")).json()["data"]
    (family,) = [one["id"] for one in rows if one["kind"] == "api"]
    assert (await call(kept.delete, f"{AUTH}sessions/{family}/")).status_code == 204
    assert await client.until_closed(5) == 4401


async def test_a_ticket_of_a_browser_ends_with_its_session_and_no_other_does(person, api):
    user = (await person("agent")).user
    one, two = await call(api, user), await call(api, user)
    first, second = await ticket_socket(one, user), await ticket_socket(two, user)
    assert (await call(two.delete, f"{AUTH}sessions/")).status_code == 204
    assert await first.until_closed(5) == 4401
    await second.send("ping")
    await second.until("pong")
    await second.close()


async def test_a_ticket_whose_sign_in_ended_meanwhile_opens_nothing(person, api, token):
    user = (await person("agent")).user
    bearer = await token(user)
    made = await call((await call(api)).post, f"{AUTH}tickets/", **bearer)
    await public_db(lambda: TokenFamily.objects.update(revoked_at="2026-01-01T00:00:00Z"))
    client = Client(origin=None, subprotocols=("murima.v1", f"ticket.{made.json()['ticket']}"))
    assert await client.open() is None
    assert await client.until_closed() == 4401


async def test_a_new_password_a_lost_membership_and_another_role_end_sockets(person, api, token):
    async def new_password(user: Any) -> None:
        await public_db(password_set, actor=system("tests"), user=user, password="another long password")

    async def changed(user: Any, body: dict[str, Any]) -> None:
        boss = await call(api, (await person("admin")).user)
        answer = await call(boss.patch, f"{AUTH}users/{user.pk}/", body, HTTP_IF_MATCH="*")
        assert answer.status_code == 200, answer.content

    async def deactivated(user: Any) -> None:
        await changed(user, {"is_active": False})

    async def other_role(user: Any) -> None:
        await changed(user, {"role": "viewer"})

    for end, codes in ((new_password, {4401}), (deactivated, {4401}), (other_role, {4401, 4403})):
        user = (await person("agent")).user
        client = await ticket_socket(await call(api), user, **await token(user))
        await end(user)
        assert await client.until_closed(5) in codes, end.__name__
