"""Codes and routes of communications. A conversation belongs to whom it is assigned; one that is nobody's
yet is seen by everybody who may see conversations, or nobody could take it."""

from __future__ import annotations

from web.shared.accounts.registry import permission, resource, route

VIEW = permission(
    "communications.view",
    "See conversations",
    all=["supervisor", "viewer"],
    team=["case_worker"],
    own=["agent"],
)
WRITE = permission(
    "communications.write",
    "Write and record messages",
    all=["supervisor"],
    team=["case_worker"],
    own=["agent"],
)
ASSIGN = permission(
    "communications.assign",
    "Give conversations to people (own: take them and give them back)",
    all=["supervisor"],
    own=["agent", "case_worker"],
)
DELETE = permission("communications.delete", "Delete conversations and messages")
CHANNELS_VIEW = permission(
    "channels.view", "See channels", all=["supervisor", "agent", "case_worker", "viewer", "telephony_admin"]
)
CHANNELS_MANAGE = permission("channels.manage", "Set up channels")
CHANNELS_DELIVER = permission("channels.deliver", "Report what a provider says about messages")
TEMPLATES_VIEW = permission(
    "templates.view", "See message templates", all=["supervisor", "agent", "case_worker", "viewer"]
)
TEMPLATES_MANAGE = permission("templates.manage", "Write message templates", all=["supervisor"])

resource("communications:channel", view=CHANNELS_VIEW, edit=CHANNELS_MANAGE)
resource("communications:template", view=TEMPLATES_VIEW, edit=TEMPLATES_MANAGE)
route("communications:template-render", POST=TEMPLATES_VIEW)
resource("communications:conversation", view=VIEW, edit=WRITE, delete=DELETE)
route("communications:conversation-interactions", GET=VIEW, POST=WRITE)
route("communications:conversation-segments", GET=VIEW)
route("communications:conversation-assign", POST=ASSIGN)
for _step in ("resolve", "reopen", "snooze", "pend"):
    route(f"communications:conversation-{_step}", POST=WRITE)
route("communications:interaction-list", GET=VIEW, POST=WRITE)
route("communications:interaction-detail", GET=VIEW, PATCH=WRITE, DELETE=DELETE)
route("communications:interaction-delivery", POST=CHANNELS_DELIVER)
