"""Writing communications: what comes in, what goes out, whose conversation it is.

A message that comes in opens the conversation again and is stored once however often the provider tells it.
One that goes out first asks whether the person may be reached that way at this hour, then whether the channel
can send at all; it is stored as `queued`, and sent after the commit (sending.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from web.shared.accounts import queries as accounts
from web.shared.api.problems import Conflict, FieldError, Invalid
from web.shared.core import audit, events
from web.shared.core import services as base
from web.shared.core.actor import Actor
from web.shared.tenants.context import current_tenant_id
from web.tenant.communications import channel_types, providers, queries, rendering, sending
from web.tenant.communications.choices import (
    DELIVERY_AFTER,
    STATUS_AFTER,
    ConversationStatus,
    Delivery,
    Direction,
    SegmentEnd,
    TextFormat,
)
from web.tenant.communications.models import (
    Channel,
    Conversation,
    ConversationSegment,
    Interaction,
    MessageTemplate,
)
from web.tenant.contacts import queries as contacts


class IllegalTransition(Conflict):
    code = "illegal_transition"
    title = "That state cannot follow this one"
    meaning = "`allowed` lists the states that can follow the present one, `state`."


class NotReachable(Conflict):
    code = "not_reachable"
    title = "This person must not be reached that way now"
    meaning = "`reason` names the rule: safe hours, a number that is not safe, a consent that was refused."


# --- channels and templates -------------------------------------------------------------------------------


def channel_create(*, actor: Actor, values: Mapping[str, Any], secrets: Mapping[str, Any]) -> Channel:
    channel_types.check(values["type"], values.get("configuration", {}))
    with transaction.atomic():
        row = base.create(Channel, actor=actor, values=values)
        _store_secrets(row, secrets)
    return row


def channel_update(
    *, actor: Actor, channel: Channel, values: Mapping[str, Any], secrets: Mapping[str, Any]
) -> Channel:
    """A channel's type never changes: its conversations are of that type."""
    if values.get("type", channel.type) != channel.type:
        raise base.refuse(type="Another type is another channel.")
    if "configuration" in values:
        channel_types.check(channel.type, values["configuration"])
    with transaction.atomic():
        base.update(channel, actor=actor, values=values)
        if secrets:
            _store_secrets(channel, secrets)
            audit.record(actor=actor, action="update", obj=channel, changes=audit.changed_fields(["secrets"]))
    return channel


def channel_delete(*, actor: Actor, channel: Channel) -> None:
    base.soft_delete(channel, actor=actor)


def _store_secrets(channel: Channel, secrets: Mapping[str, Any]) -> None:
    if secrets:
        channel.secrets, channel.secret_names = channel_types.sealed_with(channel, secrets)
        channel.save(update_fields=["secrets", "secret_names"])


def template_create(*, actor: Actor, values: Mapping[str, Any]) -> MessageTemplate:
    _check_template(values, None)
    return base.create(MessageTemplate, actor=actor, values=values)


def template_update(*, actor: Actor, template: MessageTemplate, values: Mapping[str, Any]) -> MessageTemplate:
    _check_template(values, template)
    return base.update(template, actor=actor, values=values)


def template_delete(*, actor: Actor, template: MessageTemplate) -> None:
    base.soft_delete(template, actor=actor)


def _check_template(values: Mapping[str, Any], row: MessageTemplate | None) -> None:
    def of(name: str, default: Any) -> Any:
        return values.get(name, default if row is None else getattr(row, name))

    rendering.check(of("variables", []), {"subject": of("subject", ""), "content": of("content", "")})
    kind = channel_types.KINDS[of("channel_type", "")]
    if of("format", TextFormat.TEXT) == TextFormat.HTML and not kind.html:
        raise base.refuse(format="Messages of this type of channel are plain text.")


# --- conversations ----------------------------------------------------------------------------------------


def conversation_create(*, actor: Actor, values: Mapping[str, Any]) -> Conversation:
    values = {"last_interaction": timezone.now(), **values}
    with transaction.atomic():
        row = base.create(Conversation, actor=actor, values=values)
        if row.assigned_to_id is not None:
            _begin_segment(row)
    return row


def conversation_update(
    *, actor: Actor, conversation: Conversation, values: Mapping[str, Any]
) -> Conversation:
    """Subject, case and address. Status and owner have ways of their own."""
    return base.update(conversation, actor=actor, values=values)


def conversation_delete(*, actor: Actor, conversation: Conversation) -> None:
    base.soft_delete(conversation, actor=actor)


def conversation_assign(*, actor: Actor, conversation: Conversation, user: UUID | None) -> Conversation:
    """Give a locked conversation to an active member, or back (None). Invalid for anybody else."""
    was = conversation.assigned_to_id
    if user == was:
        return conversation
    if user is not None:
        people = accounts.people_of(str(current_tenant_id()))
        if not people.filter(user_id=user, user__is_active=True).exists():
            raise _unknown("user")
    with transaction.atomic():
        _end_segment(conversation, SegmentEnd.RELEASED if user is None else SegmentEnd.REASSIGNED)
        conversation.assigned_to_id, conversation.updated_by_id = user, actor.user_id
        conversation.save(update_fields=["assigned_to", "updated_by"])
        if user is not None and conversation.status != ConversationStatus.RESOLVED:
            _begin_segment(conversation)
        said = {"assigned_to": str(user) if user else None, "was": str(was) if was else None}
        audit.record(actor=actor, action="assign", obj=conversation, changes=said)
        events.emit("conversation.assigned", obj=conversation, actor=actor, data=said)
    return conversation


def conversation_move(
    *, actor: Actor, conversation: Conversation, status: str, until: datetime | None = None
) -> Conversation:
    """Change a locked conversation's status. `until`: when a snoozed one wakes. IllegalTransition."""
    was = conversation.status
    if status not in STATUS_AFTER[was]:
        raise IllegalTransition(state=was, allowed=sorted(STATUS_AFTER[was]))
    if (status == ConversationStatus.SNOOZED) != (until is not None):
        raise base.refuse(until="Say until when it sleeps.")
    if until is not None and until <= timezone.now():
        raise base.refuse(until="That hour has passed.")
    with transaction.atomic():
        conversation.status, conversation.snoozed_until = status, until
        resolved = status == ConversationStatus.RESOLVED
        conversation.resolved_at = timezone.now() if resolved else None
        conversation.updated_by_id = actor.user_id
        conversation.save(update_fields=["status", "snoozed_until", "resolved_at", "updated_by"])
        if resolved:
            _end_segment(conversation, SegmentEnd.RESOLVED)
        elif was == ConversationStatus.RESOLVED and conversation.assigned_to_id is not None:
            _begin_segment(conversation)
        said = {"status": status, "was": was}
        audit.record(actor=actor, action="status", obj=conversation, changes=said)
        events.emit("conversation.status_changed", obj=conversation, actor=actor, data=said)
    return conversation


def _begin_segment(conversation: Conversation) -> None:
    ConversationSegment.objects.create(
        conversation=conversation, owner_id=conversation.assigned_to_id, started_at=timezone.now()
    )


def _end_segment(conversation: Conversation, because: SegmentEnd) -> None:
    conversation.segments.filter(ended_at=None).update(ended_at=timezone.now(), ended_because=because.value)


# --- messages ---------------------------------------------------------------------------------------------


def message_receive(
    *, actor: Actor, channel: Channel, contact: UUID, values: Mapping[str, Any], address: str = ""
) -> tuple[Interaction, bool]:
    """Store a message that came in, in the person's open conversation of the channel or in a new one.

    Returns (interaction, whether it is new): the same external_id again gives what is stored.
    """
    with transaction.atomic():
        # Two deliveries of one message meet here; the second then finds the first.
        Channel.objects.select_for_update(of=("self",)).get(pk=channel.pk)
        if found := known_message(channel, values.get("external_id", "")):
            return found, False
        conversation = _conversation_for(actor, channel, contact, address)
        made = _message(
            actor, conversation, {**values, "direction": Direction.INBOUND.value}, Delivery.RECEIVED
        )
        conversation.last_inbound_at = made.timestamp
        conversation.save(update_fields=["last_inbound_at"])
        if conversation.status != ConversationStatus.OPEN:
            conversation_move(actor=actor, conversation=conversation, status=ConversationStatus.OPEN.value)
        events.emit("interaction.received", obj=made, actor=actor, data=made.event_data())
    return made, True


def message_send(
    *,
    actor: Actor,
    conversation: Conversation,
    values: Mapping[str, Any],
    template: MessageTemplate | None = None,
    variables: Mapping[str, Any] | None = None,
) -> Interaction:
    """Queue a message in a locked conversation. NoProvider, NotReachable; IllegalTransition when resolved."""
    channel = conversation.channel
    if conversation.status == ConversationStatus.RESOLVED:
        raise IllegalTransition("It is resolved: reopen it first.", state="resolved", allowed=["open"])
    providers.require(channel)
    address = queries.address_of(conversation)
    _require_reachable(conversation, address)
    said = dict(values)
    if template is not None:
        if template.channel_type != channel.type or not template.is_active:
            raise base.refuse(template="This template is not for this channel.")
        said |= rendering.render(template, variables or {}) | {
            "format": template.format,
            "template": template,
        }
    if not said.get("content", "").strip() and not said.get("attachments"):
        raise base.refuse(content="A message says something or has attachments.")
    if said.get("format") == TextFormat.HTML and not channel_types.KINDS[channel.type].html:
        raise base.refuse(format="Messages of this channel are plain text.")
    with transaction.atomic():
        said["direction"] = Direction.OUTBOUND.value
        made = _message(actor, conversation, said, Delivery.QUEUED)
        if conversation.first_response_at is None and conversation.last_inbound_at is not None:
            conversation.first_response_at = made.timestamp
            conversation.save(update_fields=["first_response_at"])
        events.emit("interaction.queued", obj=made, actor=actor, data=made.event_data())
        sending.soon(made)
    return made


def delivery_report(*, actor: Actor, interaction: Interaction, status: str, failure: str = "") -> Interaction:
    """What the provider says became of a locked message. A report that is older than what is known changes
    nothing; one that cannot be is IllegalTransition."""
    was = interaction.delivery_status
    if status == was or was in DELIVERY_AFTER.get(status, frozenset()):
        return interaction
    if status not in DELIVERY_AFTER[was]:
        raise IllegalTransition(state=was, allowed=sorted(DELIVERY_AFTER[was]))
    with transaction.atomic():
        interaction.delivery_status, interaction.failure = status, failure if status == "failed" else ""
        interaction.delivery_changed_at, interaction.next_try_at = timezone.now(), None
        interaction.save(update_fields=["delivery_status", "failure", "delivery_changed_at", "next_try_at"])
        audit.record(actor=actor, action="delivery", obj=interaction, changes={"status": status, "was": was})
        kind = "interaction.sent" if status == Delivery.SENT else "interaction.delivery_changed"
        data = interaction.event_data() | ({} if status == Delivery.SENT else {"was": was})
        events.emit(kind, obj=interaction, actor=actor, data=data)
    return interaction


def known_message(channel: Channel, external_id: str) -> Interaction | None:
    if not external_id:
        return None
    return Interaction.all_objects.filter(channel=channel, external_id=external_id).first()


def interaction_update(*, actor: Actor, interaction: Interaction, values: Mapping[str, Any]) -> Interaction:
    """Its case and metadata: what was said is not changed."""
    return base.update(interaction, actor=actor, values=values)


def interaction_delete(*, actor: Actor, interaction: Interaction) -> None:
    base.soft_delete(interaction, actor=actor)


def _conversation_for(actor: Actor, channel: Channel, contact: UUID, address: str) -> Conversation:
    """The newest conversation with this person on this channel, unless it was resolved; else a new one."""
    found = (
        Conversation.objects.select_for_update(of=("self",))
        .filter(channel=channel, contact=contact)
        .exclude(status=ConversationStatus.RESOLVED)
        .order_by("-last_interaction", "-id")
        .first()
    )
    if found is not None:
        return found
    values = {"channel": channel, "contact_id": contact, "address": address}
    return conversation_create(actor=actor, values=values)


def _message(
    actor: Actor, conversation: Conversation, values: Mapping[str, Any], delivery: Delivery
) -> Interaction:
    now = timezone.now()
    whole = {
        "timestamp": now,
        **values,
        "conversation": conversation,
        "channel": conversation.channel,
        "contact_id": conversation.contact_id,
        "case_id": conversation.case_id,
        "delivery_status": delivery.value,
        "delivery_changed_at": now,
    }
    made = base.create(Interaction, actor=actor, values=whole)
    if made.timestamp > conversation.last_interaction:
        conversation.last_interaction = made.timestamp
    conversation.updated_by_id = actor.user_id
    conversation.save(update_fields=["last_interaction", "updated_by"])
    return made


def _require_reachable(conversation: Conversation, address: str) -> None:
    kind = channel_types.KINDS[conversation.channel.type].reach
    if not kind:
        return
    number = address if kind == "text" else ""
    allowed, reason = contacts.may_reach(conversation.contact_id, number, timezone.now(), kind)
    if not allowed:
        raise NotReachable(reason=reason)


def _unknown(pointer: str) -> Invalid:
    return Invalid(errors=[FieldError(f"/{pointer}", "does_not_exist", "There is no such object.")])
