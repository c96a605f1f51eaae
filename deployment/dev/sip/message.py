"""SIP messages, as far as a telephone needs them: parse, build, digest.

A message is a start line, headers in order (names lower-case when read) and a body. Nothing is checked
beyond what the phones of this kit need; what they send is whatever the test wants to send.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import secrets

CRLF = "\r\n"


def token() -> str:
    """A fresh random word for tags, branches and call ids."""
    return secrets.token_hex(8)


@dataclasses.dataclass
class Message:
    """One request or response."""

    start: str
    headers: list[tuple[str, str]]
    body: str = ""

    @classmethod
    def parse(cls, data: bytes) -> Message:
        """Read a datagram."""
        head, _, body = data.decode("utf-8", "replace").partition(CRLF + CRLF)
        lines = head.split(CRLF)
        pairs = (line.partition(":") for line in lines[1:] if ":" in line)
        return cls(lines[0], [(name.strip().lower(), value.strip()) for name, _, value in pairs], body)

    def encode(self) -> bytes:
        """The datagram, with its length header."""
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        body = self.body.encode()
        return (CRLF.join([*lines, f"Content-Length: {len(body)}"]) + CRLF + CRLF).encode() + body

    def get(self, name: str, default: str = "") -> str:
        """The first header of that name."""
        return next((value for key, value in self.headers if key.lower() == name), default)

    def all(self, name: str) -> list[str]:
        """Every header of that name, in order."""
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def status(self) -> int:
        """The response's code, 0 for a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """The request's method, or that of the request which a response answers."""
        return self.get("cseq").split()[-1] if self.status else self.start.split()[0]

    def reply(
        self, status: int, reason: str, tag: str = "", extra: tuple[tuple[str, str], ...] = (), body: str = ""
    ) -> Message:
        """A response to this request."""
        headers = [("Via", via) for via in self.all("via")]
        headers += [("Record-Route", route) for route in self.all("record-route")]
        to = self.get("to")
        if tag and "tag=" not in to:
            to += f";tag={tag}"
        headers += [("From", self.get("from")), ("To", to), ("Call-ID", self.get("call-id")),
                    ("CSeq", self.get("cseq")), *extra]  # fmt: skip
        if body:
            headers.append(("Content-Type", "application/sdp"))
        return Message(f"SIP/2.0 {status} {reason}", headers, body)


def uri_of(header: str) -> str:
    """The address in a From, To or Contact header."""
    found = re.search(r"<([^>]*)>", header)
    return found.group(1) if found else header.split(";")[0].strip()


def user_of(header: str) -> str:
    """The user part of the address in a header."""
    found = re.match(r"sips?:([^@;>]*)@", uri_of(header))
    return found.group(1) if found else ""


def tag_of(header: str) -> str:
    """The tag parameter of a From or To header."""
    found = re.search(r";\s*tag=([^;>\s]+)", header)
    return found.group(1) if found else ""


def digest(challenge: str, user: str, secret: str, method: str, uri: str) -> str:
    """The Authorization header's value that answers a digest challenge (MD5, qop auth or none)."""
    fields = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge.partition(" ")[2]))

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    first = md5(f"{user}:{fields['realm']}:{secret}")
    second = md5(f"{method}:{uri}")
    shown = (
        f'username="{user}", realm="{fields["realm"]}", nonce="{fields["nonce"]}", uri="{uri}", algorithm=MD5'
    )
    if "opaque" in fields:
        shown += f', opaque="{fields["opaque"]}"'
    if "auth" in fields.get("qop", ""):
        cnonce = token()
        answer = md5(f"{first}:{fields['nonce']}:00000001:{cnonce}:auth:{second}")
        shown += f', qop=auth, nc=00000001, cnonce="{cnonce}"'
    else:
        answer = md5(f"{first}:{fields['nonce']}:{second}")
    return f'Digest {shown}, response="{answer}"'


def sdp(address: str, port: int, direction: str = "sendrecv") -> str:
    """An offer or answer of u-law with telephone events."""
    return CRLF.join([
        "v=0", f"o=- 1 1 IN IP4 {address}", "s=-", f"c=IN IP4 {address}", "t=0 0",
        f"m=audio {port} RTP/AVP 0 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16", "a=ptime:20", f"a={direction}", "",
    ])  # fmt: skip


def media_of(body: str) -> tuple[str, int] | None:
    """Address and port that an SDP wants its sound sent to."""
    address = re.search(r"^c=IN IP4 (\S+)", body, re.MULTILINE)
    port = re.search(r"^m=audio (\d+)", body, re.MULTILINE)
    return (address.group(1), int(port.group(1))) if address and port else None
