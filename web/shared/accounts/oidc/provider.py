"""What is asked of an identity provider: its description, the tokens for a code, the meaning of an ID token.

Nothing is cached: a sign-in is rare, and a key that the provider withdrew must not go on opening doors.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import jwt

from web.shared.accounts.models import IdentityProvider
from web.shared.accounts.oidc import fetch
from web.shared.accounts.problems import FederationRefused
from web.shared.core import sealed

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
LEEWAY_SECONDS = 60
LONGEST_TOKEN = 16 * 1024


@dataclass(frozen=True, slots=True)
class Description:
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


def describe(provider: IdentityProvider) -> Description:
    """The provider's endpoints, from its discovery document. FederationRefused."""
    said = _asked(fetch.get_json, provider.issuer.rstrip("/") + "/.well-known/openid-configuration")
    if said.get("issuer") != provider.issuer:
        raise refuse("issuer_differs")
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    urls = {name: said.get(name) for name in names}
    for url in urls.values():
        if not isinstance(url, str):
            raise refuse("bad_description")
        _asked(fetch.check, url)
    return Description(**urls)


def exchange(
    provider: IdentityProvider, where: Description, *, code: str, verifier: str, redirect_uri: str
) -> str:
    """The ID token that the provider gives for `code`. FederationRefused."""
    form = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri,
        "code_verifier": verifier, "client_id": provider.client_id,
    }  # fmt: skip
    headers = {}
    secret = client_secret(provider)
    if secret:
        pair = f"{quote(provider.client_id, safe='')}:{quote(secret, safe='')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    answer = _asked(fetch.post_form, where.token_endpoint, urlencode(form).encode(), headers)
    token = answer.get("id_token")
    if not isinstance(token, str) or len(token) > LONGEST_TOKEN:
        raise refuse("no_id_token")
    return token


def claims_of(provider: IdentityProvider, where: Description, id_token: str, *, nonce: str) -> dict[str, Any]:
    """The checked claims of an ID token. FederationRefused names the check that failed."""
    try:
        keys = jwt.PyJWKSet.from_dict(_asked(fetch.get_json, where.jwks_uri))
        header = jwt.get_unverified_header(id_token)
        key = _key(keys, header)
        # The algorithm is the key's own where it names one: a token cannot choose another for it.
        claims: dict[str, Any] = jwt.decode(
            id_token,
            key,
            algorithms=[key.algorithm_name] if key.algorithm_name in ALGORITHMS else ALGORITHMS,
            audience=provider.client_id,
            issuer=provider.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "sub", "aud", "iss", "nonce"]},
        )
    except jwt.InvalidAudienceError:
        raise refuse("audience") from None
    except jwt.InvalidIssuerError:
        raise refuse("issuer") from None
    except jwt.ExpiredSignatureError:
        raise refuse("expired") from None
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError):
        raise refuse("signature") from None
    _check_rest(provider, claims, nonce)
    return claims


def client_secret(provider: IdentityProvider) -> str:
    if not provider.sealed_secret:
        return ""
    found = sealed.unseal(provider.tenant_id, _purpose(provider), bytes(provider.sealed_secret))
    return found.decode()


def seal_secret(provider: IdentityProvider, secret: str) -> bytes:
    if not secret:
        return b""
    return sealed.seal(provider.tenant_id, _purpose(provider), secret.encode())


def refuse(reason: str) -> FederationRefused:
    return FederationRefused(reason=reason)


def _check_rest(provider: IdentityProvider, claims: dict[str, Any], nonce: str) -> None:
    if claims["nonce"] != nonce:
        raise refuse("nonce")
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if (several or "azp" in claims) and claims.get("azp") != provider.client_id:
        raise refuse("audience")
    if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
        raise refuse("subject")


def _key(keys: jwt.PyJWKSet, header: dict[str, Any]) -> jwt.PyJWK:
    """The signing key that the header names; the only one there is, when it names none."""
    usable = [one for one in keys.keys if one.public_key_use in (None, "sig") and one.key_type != "oct"]
    named = [one for one in usable if one.key_id == header.get("kid")] if "kid" in header else usable
    if header.get("alg") not in ALGORITHMS or len(named) != 1:
        raise ValueError("no such key")
    return named[0]


def _asked(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except fetch.Unreachable as failure:
        raise refuse(f"provider_{failure.code}") from None


def _purpose(provider: IdentityProvider) -> str:
    return f"identity provider {provider.pk}"
