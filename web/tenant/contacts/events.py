"""What contacts tell. Ids, states and names of fields; never a name or a number."""

from __future__ import annotations

from uuid import UUID

from web.shared.core.events import declare, declare_resource

declare_resource("contact", "Contact", is_anonymous=bool)
declare_resource("contact_group", "Contact group")
declare_resource(
    "contact_relationship", "Relationship", from_contact=UUID, to_contact=UUID, relationship_type=str
)
declare("contact.merged", "A contact was merged into this one", other=UUID, merge=UUID)
declare("contact.unmerged", "A merge into this contact was undone", other=UUID, merge=UUID)
declare("contact.erased", "A contact was erased", rows=int)
declare("contact.held", "A contact was put under legal hold", reason=str)
declare("contact.released", "A contact's legal hold ended")
declare("contact.consent_recorded", "A consent was recorded", purpose=str, status=str, consent=UUID)
declare("contact_group.members_changed", "A group's members changed", added=list, removed=list)
