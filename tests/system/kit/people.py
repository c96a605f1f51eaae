"""People of one test alone: invited over REST, joined with the mailed link, second factors as wanted."""

from __future__ import annotations

import base64
import dataclasses
import time
import uuid
from typing import TYPE_CHECKING

from tests.system.kit.rest import Rest
from web.shared.accounts.factors.totp import STEP_SECONDS, code_at

if TYPE_CHECKING:
    from tests.system.conftest import World

PASSWORD = "seven lanterns over Kisumu"


@dataclasses.dataclass
class Person:
    """Somebody with a password; codes of the app and recovery codes once they are set up."""

    url: str
    email: str
    password: str = PASSWORD
    secret: str = ""
    recovery_codes: list[str] = dataclasses.field(default_factory=list)

    @property
    def rest(self) -> Rest:
        return Rest(self.url, self.email, self.password)

    def code(self, later: int = 0) -> str:
        """What the app shows now, or steps of half a minute later; the server takes one either way."""
        return app_code(self.secret, later)

    def set_up_app(self) -> None:
        """An authenticator app, confirmed with the code of the step before: the present one stays unused."""
        rest = self.rest
        self.secret = rest.post("/auth/mfa/totp/", {"current_password": self.password})["secret"]
        done = rest.post("/auth/mfa/totp/confirm/", {"code": self.code(-1)})
        self.recovery_codes = done["recovery_codes"]


def app_code(secret: str, later: int = 0) -> str:
    return code_at(base64.b32decode(secret), int(time.time()) // STEP_SECONDS + later)


def address(slug: str = "amani") -> str:
    return f"{uuid.uuid4().hex[:12]}@{slug}.example"


def invite(murima: World, email: str, slug: str = "amani") -> str:
    """Invite somebody as an agent; the link in the mail."""
    from tests.system.conftest import eventually

    murima.rest(slug, "admin").post("/auth/invitations/", {"email": email, "role": "agent"})
    links = eventually(lambda: murima.mail.links(email, "/invitation"), 30, "the invitation's mail")
    return str(links[-1])


def join(murima: World, name: str = "Neema Wafula", slug: str = "amani") -> Person:
    """Somebody new who accepted their invitation."""
    person = Person(murima.tenant(slug)["url"], address(slug))
    token = invite(murima, person.email, slug).rpartition("#")[2]
    body = {"token": token, "name": name, "password": person.password}
    status, answer = person.rest.once("POST", "/auth/invitations/accept/", body)
    assert status == 201, answer
    return person
