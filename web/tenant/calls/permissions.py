"""Codes and routes of calls."""

from __future__ import annotations

from web.shared.accounts.registry import MEMBER, permission, resource, route

CALLS_VIEW = permission(
    "calls.view",
    "See calls",
    all=["supervisor", "telephony_admin", "viewer"],
    own=["agent", "case_worker"],
)
CALLS_EDIT = permission(
    "calls.edit", "Correct a call's contact and result", all=["supervisor"], own=["agent"]
)
CALLS_EXPORT = permission("calls.export", "Export calls", all=["supervisor"])
CALLS_WRAP_UP = permission("calls.wrap_up", "Write up calls", all=["supervisor"], own=["agent"])
DISPOSITIONS_MANAGE = permission("dispositions.manage", "Change dispositions and reasons", all=["supervisor"])
QUEUES_MANAGE = permission(
    "queues.manage", "Change queues and who serves them", all=["supervisor", "telephony_admin"]
)
NUMBERS_VIEW = permission(
    "numbers.view", "See the organisation's numbers", all=["supervisor", "telephony_admin"]
)
NUMBERS_MANAGE = permission("numbers.manage", "Add numbers and say where they lead", all=["telephony_admin"])
DEVICES_VIEW = permission("devices.view", "See agents' phones", all=["supervisor", "telephony_admin"])
DEVICES_MANAGE = permission("devices.manage", "Add and remove agents' phones", all=["telephony_admin"])

route("calls:call-list", GET=CALLS_VIEW)
route("calls:call-detail", GET=CALLS_VIEW, PATCH=CALLS_EDIT)
route("calls:exports", POST=CALLS_EXPORT)
for _part in ("events", "visits", "segments", "transfers"):
    route(f"calls:call-{_part}", GET=CALLS_VIEW)
route("calls:call-draft", GET=CALLS_WRAP_UP, PUT=CALLS_WRAP_UP)
resource("calls:disposition", view=MEMBER, edit=DISPOSITIONS_MANAGE)
resource("calls:reason", view=MEMBER, edit=DISPOSITIONS_MANAGE)
resource("calls:queue", view=MEMBER, edit=QUEUES_MANAGE)
route("calls:member-list", GET=MEMBER, POST=QUEUES_MANAGE)
route("calls:member-detail", GET=MEMBER, PATCH=QUEUES_MANAGE, DELETE=QUEUES_MANAGE)
resource("calls:skill", view=MEMBER, edit=QUEUES_MANAGE)
resource("calls:agent-skill", view=MEMBER, edit=QUEUES_MANAGE)
resource("calls:number", view=NUMBERS_VIEW, edit=NUMBERS_MANAGE)
resource("calls:device", view=DEVICES_VIEW, edit=DEVICES_MANAGE)
