"""Signing in, being bound to one tenant, and leaving."""

from __future__ import annotations

import pytest

from tests.web.fixtures import PASSWORD

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.database,
    pytest.mark.redis,
    pytest.mark.usefixtures("clean_redis"),
]

SESSION = "/api/v1/auth/session/"
ME = "/api/v1/auth/me/"


def test_sign_in_me_and_out(make_user, api):
    user, client = make_user("agent"), api()
    answer = client.post(SESSION, {"email": user.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.content
    assert answer.json()["user"]["email"] == user.email
    assert answer.json()["csrf_token"] and answer.json()["mfa_required"] is False
    me = client.get(ME).json()
    assert me["tenant"]["id"] == "t_mto000000000" and me["tenant"]["slug"] == "mto"
    assert me["role"]["name"] == "agent" and me["permissions"]["desk.use"] == "all"
    assert client.delete(SESSION).status_code == 204
    assert client.get(ME).status_code == 401
