"""What communications tell."""

from __future__ import annotations

from uuid import UUID

from web.shared.core.events import declare, declare_resource

declare_resource("channel", "Channel", channel_type=str, is_active=bool)
declare_resource("message_template", "Message template")
declare_resource(
    "conversation", "Conversation", status=str, channel=UUID, contact=UUID, case=UUID, assigned_to=UUID
)
declare("conversation.assigned", "A conversation was given to somebody, or back", assigned_to=UUID, was=UUID)
declare("conversation.status_changed", "A conversation's status changed", status=str, was=str)
_MESSAGE = {
    "conversation": UUID, "channel": UUID, "contact": UUID, "case": UUID, "direction": str,
    "delivery_status": str,
}  # fmt: skip
declare_resource("interaction", "Message", **_MESSAGE)
declare("interaction.received", "A message came in", **_MESSAGE)
declare("interaction.queued", "A message waits to be sent", **_MESSAGE)
declare("interaction.sent", "A message was handed to the provider", **_MESSAGE)
declare("interaction.delivery_changed", "A message was delivered, read, or failed", **_MESSAGE, was=str)
