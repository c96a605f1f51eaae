"""Codes and routes of notifications. Everybody has their own; rules are the organisation's."""

from __future__ import annotations

from web.shared.accounts.registry import MEMBER, permission, resource, route

NOTIFICATIONS_MANAGE = permission("notifications.manage", "Decide who is told of what", all=["supervisor"])

route("notifications:notification-list", GET=MEMBER)
route("notifications:notification-detail", GET=MEMBER, PATCH=MEMBER, DELETE=MEMBER)
route("notifications:notification-acknowledge", POST=MEMBER)
route("notifications:read-all", POST=MEMBER)
route("notifications:unread", GET=MEMBER)
route("notifications:preferences", GET=MEMBER, PATCH=MEMBER)
resource("notifications:rule", view=NOTIFICATIONS_MANAGE, edit=NOTIFICATIONS_MANAGE)
route("notifications:rule-dry-run", POST=NOTIFICATIONS_MANAGE)
route("notifications:triggers", GET=NOTIFICATIONS_MANAGE)
