"""An OpenID Connect provider in a thread: real HTTP, real keys, and lies on demand.

Its authorization endpoint asks nobody and sends the browser straight back with a code. The token endpoint
checks client, redirect address and PKCE as a strict provider does, and signs what `claims` says. A test sets
`lie` to change the claims, the key or the algorithm of the next ID token, or whole answers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "murima-client", "s3cret: with % and :"


class IdentityProvider:
    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.claims: dict[str, Any] = {"sub": "person-1"}
        self.lie: Callable[[dict[str, Any]], str | dict[str, Any]] | None = None
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.seen: list[str] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._get(self)

            def do_POST(self) -> None:
                provider._post(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> IdentityProvider:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(10)

    def jwks(self) -> dict[str, Any]:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": "k1", "use": "sig", "alg": "RS256"}]}

    def sign(self, claims: dict[str, Any], *, key: Any = None, algorithm: str = "RS256", **head: Any) -> str:
        named = {name: value for name, value in {"kid": "k1", **head}.items() if value is not None}
        chosen = self.key if key is None else key
        return jwt.encode(claims, chosen, algorithm=algorithm, headers=named)

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        where = urlsplit(request.path)
        self.seen.append(where.path)
        if where.path in self.answers:
            return self._say(request, *self.answers[where.path])
        if where.path == "/authorize":
            asked = {name: values[0] for name, values in parse_qs(where.query).items()}
            code = secrets.token_urlsafe(16)
            self.codes[code] = asked
            back = f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
            return self._say(request, 302, {"Location": back}, b"")
        if where.path == "/jwks":
            return self._json(request, self.jwks())
        return self._json(
            request,
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
            },
        )

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        self.seen.append(request.path)
        length = int(request.headers.get("Content-Length", "0"))
        form = {name: values[0] for name, values in parse_qs(request.rfile.read(length).decode()).items()}
        if request.path in self.answers:
            return self._say(request, *self.answers[request.path])
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or not self._client_fits(request) or not self._proof_fits(asked, form):
            return self._json(request, {"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "nonce": asked["nonce"], "iat": now, "exp": now + 300,
            **self.claims,
        }  # fmt: skip
        said = self.lie(claims) if self.lie is not None else claims
        token = said if isinstance(said, str) else self.sign(said)
        return self._json(request, {"id_token": token, "access_token": "x", "token_type": "Bearer"})

    def _client_fits(self, request: BaseHTTPRequestHandler) -> bool:
        kind, _, pair = request.headers.get("Authorization", "").partition(" ")
        name, _, secret = base64.b64decode(pair).decode().partition(":")
        return kind == "Basic" and (unquote(name), unquote(secret)) == (CLIENT, SECRET)

    def _proof_fits(self, asked: dict[str, str], form: dict[str, str]) -> bool:
        made = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(made).rstrip(b"=").decode()
        same = asked["redirect_uri"] == form.get("redirect_uri") and asked["client_id"] == CLIENT
        return same and asked["code_challenge_method"] == "S256" and asked["code_challenge"] == challenge

    def _json(self, request: BaseHTTPRequestHandler, said: dict[str, Any], status: int = 200) -> None:
        self._say(request, status, {"Content-Type": "application/json"}, json.dumps(said).encode())

    def _say(self, request: Any, status: int, headers: dict[str, str], body: bytes) -> None:
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)
