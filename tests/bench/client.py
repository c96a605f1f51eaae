"""What the benches of the API share: one signed-in client over HTTP, and SQL as the superuser."""

from __future__ import annotations

import subprocess
from typing import Any

import aiohttp

from deployment.dev.stack import Stack


class Client:
    """One person's browser: a session cookie, the tenant's Host, one request at a time."""

    def __init__(self, web: aiohttp.ClientSession, url: str, tenant: dict[str, Any]) -> None:
        self._web, self._url = web, url.rstrip("/")
        self._headers = {"Host": tenant["url"].removeprefix("http://").rstrip("/")}
        self._cookies = ""

    async def sign_in(self, user: dict[str, Any]) -> None:
        body = {"email": user["email"], "password": user["password"]}
        async with self._web.post(
            f"{self._url}/api/v1/auth/session/", json=body, headers=self._headers
        ) as answer:
            assert answer.status == 200, await answer.text()
            csrf = (await answer.json())["csrf_token"]
            self._cookies = "; ".join(f"{name}={each.value}" for name, each in answer.cookies.items())
        self._headers |= {"Cookie": self._cookies, "X-CSRFToken": csrf}
        self._headers["Origin"] = f"http://{self._headers['Host']}"

    async def get(self, path: str) -> Any:
        async with self._web.get(f"{self._url}/api/v1/{path}", headers=self._headers) as answer:
            body = await answer.json()
            assert answer.status == 200, body
            return body

    async def post(self, path: str, body: dict[str, Any] | aiohttp.FormData) -> Any:
        """What was made; a form is sent as one, anything else as JSON."""
        sent: Any = {"data" if isinstance(body, aiohttp.FormData) else "json": body}
        async with self._web.post(f"{self._url}/api/v1/{path}", headers=self._headers, **sent) as answer:
            made = await answer.json()
            assert answer.status == 201, made
            return made

    async def upload(self, path: str, content: bytes, media_type: str) -> Any:
        """The job that a file starts."""
        headers = {**self._headers, "Content-Type": media_type}
        async with self._web.post(f"{self._url}/api/v1/{path}", data=content, headers=headers) as answer:
            job = await answer.json()
            assert answer.status == 202, job
            return job


def psql(stack: Stack, text: str) -> str:
    """Statements as the superuser, without the deadline that the stack's own helper has."""
    url = stack.postgres.url("postgres")
    binary = stack.postgres._binaries / "psql"
    done = subprocess.run(
        [str(binary), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", url],
        input=text, capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-800:])
    return done.stdout
