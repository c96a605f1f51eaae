"""A device as Asterisk's objects: pure.

Three objects (auth, aor, endpoint) carry the device's own name. The digest MD5(user:asterisk:secret) is all
that Asterisk gets; no secret ever leaves the browser's shift or the phone. The endpoint's `accountcode`
holds a hash of everything that was written, so that one read tells whether anything must be written again.
"""

import hashlib
import json
from dataclasses import dataclass

from telephony.contract.ids import TenantId, endpoint
from telephony.contract.roster import Device, DeviceKind

REALM = "asterisk"
CONTEXT = "murima-phones"

_COMMON = {
    "context": CONTEXT,
    "disallow": "all",
    "direct_media": "no",
    "rtp_symmetric": "yes",
    "force_rport": "yes",
    "rewrite_contact": "yes",
    "allow_transfer": "no",
    "allow_subscribe": "no",
    "trust_id_inbound": "no",
}
_KINDS = {
    DeviceKind.BROWSER: {
        "webrtc": "yes",
        "dtls_auto_generate_cert": "yes",
        "allow": "opus,ulaw",
        "rtp_timeout": "20",
        "rtp_timeout_hold": "60",
    },
    DeviceKind.SIP: {"allow": "ulaw,alaw", "rtp_timeout": "30", "rtp_timeout_hold": "300"},
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Objects in the order in which they must be written; endpoint last, since the hash is in it."""

    name: str
    mark: str
    objects: tuple[tuple[str, dict[str, str]], ...]


def wanted(tenant: TenantId, device: Device) -> Wanted:
    """What Asterisk should know of a device; raises ValueError for a name or a digest of a wrong form."""
    name = endpoint(device.endpoint)
    if len(device.digest) != 32 or not set(device.digest) <= set("0123456789abcdef"):
        raise ValueError("a device's digest is 32 hexadecimal characters")
    auth = {
        "auth_type": "digest",
        "username": name,
        "realm": REALM,
        "password_digest": f"MD5:{device.digest}",
    }
    aor = {
        "max_contacts": "1",
        "remove_existing": "yes",
        "minimum_expiration": "30",
        "maximum_expiration": "600",
    }
    own = {"auth": name, "aors": name, "tenantid": tenant}
    fields = _COMMON | _KINDS[device.kind] | own
    text = json.dumps([auth, aor, fields], sort_keys=True)
    mark = "m" + hashlib.sha256(text.encode()).hexdigest()[:18]
    return Wanted(
        name=name,
        mark=mark,
        objects=(("auth", auth), ("aor", aor), ("endpoint", fields | {"accountcode": mark})),
    )


def body(fields: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """The body of a PUT to /asterisk/config/dynamic; `disallow` must come before `allow`."""
    ordered = sorted(fields, key=lambda name: (name == "allow", name))
    return {"fields": [{"attribute": name, "value": fields[name]} for name in ordered]}
