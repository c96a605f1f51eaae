"""From the start of a sign-in to the callback, through the person's browser."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from web.shared.accounts.models import IdentityProvider
from web.shared.accounts.oidc import provider as asked
from web.shared.core.stores import redis_client
from web.shared.tenants.keys import redis_key

SECONDS = 600
SCOPE = "openid email profile"
_STATE = re.compile(r"[A-Za-z0-9_-]{43}")
# A path of this host: no scheme, no host, no backslash that a browser would read as a slash.
_NEXT = re.compile(r"/(?![/\\])[A-Za-z0-9/_.~%&=?#-]{0,400}")


@dataclass(frozen=True, slots=True)
class Started:
    """Where to send the browser, and the cookie that shows later that it is the same one."""

    url: str
    cookie: str


def start(provider: IdentityProvider, *, redirect_uri: str, after: str) -> Started:
    """FederationRefused when the provider cannot be asked; redis errors."""
    where = asked.describe(provider)
    state, nonce, verifier, cookie = (secrets.token_urlsafe(32) for _ in range(4))
    kept = {
        "provider": str(provider.pk), "nonce": nonce, "verifier": verifier, "redirect_uri": redirect_uri,
        "browser": _hash(cookie), "after": after if _NEXT.fullmatch(after) else "/",
    }  # fmt: skip
    redis_client().set(_key(provider.tenant_id, state), json.dumps(kept), ex=SECONDS)
    query = {
        "response_type": "code", "client_id": provider.client_id, "redirect_uri": redirect_uri,
        "scope": SCOPE, "state": state, "nonce": nonce, "code_challenge": _hash(verifier),
        "code_challenge_method": "S256",
    }  # fmt: skip
    joint = "&" if "?" in where.authorization_endpoint else "?"
    return Started(f"{where.authorization_endpoint}{joint}{urlencode(query)}", cookie)


def finish(provider: IdentityProvider, *, query: dict[str, str], cookie: str) -> tuple[dict[str, Any], str]:
    """(checked claims of the person, where they wanted to go). FederationRefused."""
    kept = _take(provider, query.get("state", ""))
    if kept is None or not hmac.compare_digest(kept["browser"], _hash(cookie)):
        raise asked.refuse("state")
    # RFC 9207: an answer of another provider, mixed into this sign-in.
    if query.get("iss", provider.issuer) != provider.issuer:
        raise asked.refuse("issuer")
    if "error" in query or not query.get("code"):
        raise asked.refuse("declined")
    where = asked.describe(provider)
    token = asked.exchange(
        provider,
        where,
        code=query["code"][:2000],
        verifier=kept["verifier"],
        redirect_uri=kept["redirect_uri"],
    )
    return asked.claims_of(provider, where, token, nonce=kept["nonce"]), kept["after"]


def _take(provider: IdentityProvider, state: str) -> dict[str, str] | None:
    if not _STATE.fullmatch(state):
        return None
    found = cast("str | None", redis_client().getdel(_key(provider.tenant_id, state)))
    kept: dict[str, str] | None = None if found is None else json.loads(found)
    return kept if kept is not None and kept["provider"] == str(provider.pk) else None


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _key(tenant_id: str, state: str) -> str:
    return redis_key(tenant_id, "oidc", state)
