"""Codes, routes and socket messages of identity and of the desk.

Other apps declare theirs in a permissions.py of their own; see registry.py for what a row means.
"""

from __future__ import annotations

from web.shared.accounts.registry import (
    ANYONE,
    MEMBER,
    message,
    permission,
    platform_permission,
    resource,
    route,
)

USERS_VIEW = permission(
    "users.view", "See the people of this organisation", all=["supervisor", "telephony_admin"]
)
USERS_MANAGE = permission("users.manage", "Invite people and give them roles")
AUDIT_VIEW = permission("audit.view", "Read the audit trail")
SETTINGS_MANAGE = permission("settings.manage", "Change this organisation's settings")

DESK_USE = permission("desk.use", "Take calls at a desk", all=["agent", "supervisor"])
DESK_DIAL = permission("desk.dial", "Place outbound calls", all=["agent", "supervisor"])
FLOOR_VIEW = permission("floor.view", "See the live floor", all=["supervisor"])
WALLBOARD_VIEW = permission(
    "wallboard.view", "See a wallboard", all=["supervisor", "telephony_admin", "viewer"]
)
FLOOR_MONITOR = permission("floor.monitor", "Listen, whisper, barge in and take over", all=["supervisor"])
FLOOR_STEER = permission("floor.steer", "Change agents' states and move waiting calls", all=["supervisor"])

BREAK_GLASS_VIEW = platform_permission(
    "platform.break_glass.view", "See who entered which organisation, and why", roles=["admin"]
)
BREAK_GLASS_OPEN = platform_permission(
    "platform.break_glass.open", "Enter an organisation, to look", roles=["admin", "support"]
)
BREAK_GLASS_ADMIN = platform_permission(
    "platform.break_glass.admin", "Enter an organisation, to change things", roles=["admin"]
)

route("auth:session", GET=ANYONE, POST=ANYONE, DELETE=ANYONE)
route("auth:token", POST=ANYONE, DELETE=ANYONE)
route("auth:me", GET=MEMBER, PATCH=MEMBER)
route("auth:tickets", POST=MEMBER)
for _name in ("session-mfa", "session-mfa-passkey", "session-passkey", "session-passkey-begin",
              "session-break-glass", "password-reset", "password-reset-confirm"):  # fmt: skip
    route(f"auth:{_name}", POST=ANYONE)
route("auth:password", POST=MEMBER)
route("auth:sessions", GET=MEMBER, DELETE=MEMBER)
route("auth:sessions-one", DELETE=MEMBER)
route("auth:mfa", GET=MEMBER)
route("auth:mfa-totp", POST=MEMBER, DELETE=MEMBER)
route("auth:mfa-totp-confirm", POST=MEMBER)
route("auth:mfa-recovery", POST=MEMBER)
route("auth:mfa-passkeys", GET=MEMBER, POST=MEMBER)
route("auth:mfa-passkey-begin", POST=MEMBER)
route("auth:mfa-passkey", PATCH=MEMBER, DELETE=MEMBER)
route("auth:mfa-policy", GET=SETTINGS_MANAGE, PATCH=SETTINGS_MANAGE)
route("jwks", GET=ANYONE)
route("auth:break-glass-list", GET=AUDIT_VIEW)
route("auth:break-glass-detail", GET=AUDIT_VIEW, DELETE=USERS_MANAGE)
route("platform-accounts:break-glass-list", GET=BREAK_GLASS_VIEW, POST=BREAK_GLASS_OPEN)
route("platform-accounts:break-glass-detail", GET=BREAK_GLASS_VIEW, DELETE=BREAK_GLASS_OPEN)
resource("auth:identity-provider", view=SETTINGS_MANAGE, edit=SETTINGS_MANAGE)
for _name in ("oidc", "oidc-start", "oidc-callback"):
    route(f"auth:{_name}", GET=ANYONE)
resource("auth:user", view=USERS_VIEW, edit=USERS_MANAGE)
resource("auth:role", view=USERS_VIEW, edit=USERS_MANAGE)
resource("auth:team", view=USERS_VIEW, edit=USERS_MANAGE)
resource("auth:invitation", view=USERS_MANAGE, edit=USERS_MANAGE)
route("auth:permissions", GET=USERS_VIEW)
route("auth:invitation-preview", POST=ANYONE)
route("auth:invitation-accept", POST=ANYONE)
route("schema", GET=ANYONE)
route("docs", GET=ANYONE)
route("error-docs", GET=ANYONE)
route("app", GET=ANYONE)
route("api-not-found", GET=ANYONE, POST=ANYONE, PUT=ANYONE, PATCH=ANYONE, DELETE=ANYONE)

for _kind in (
    "shift.start", "shift.end", "status.set", "offer.decline", "call.hold", "call.unhold", "call.hangup",
    "call.mute", "call.dtmf", "call.transfer", "call.consult", "call.complete", "call.cancel", "call.merge",
    "call.record_pause", "call.record_resume", "wrapup.extend", "wrapup.finish", "help.request",
):  # fmt: skip
    message(_kind, DESK_USE)
message("call.dial", DESK_DIAL)
for _kind in ("listen", "whisper", "barge", "take_over", "stop"):
    message(f"monitor.{_kind}", FLOOR_MONITOR)
for _kind in ("agent.set_status", "agent.end_shift", "call.pull", "call.move", "call.prioritise"):
    message(_kind, FLOOR_STEER)
message("resync", MEMBER)
message("pong", MEMBER)
