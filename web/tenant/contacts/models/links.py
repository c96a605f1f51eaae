"""How contacts stand to each other, and lists that people keep of them.

One row tells a relationship for both sides: "from is the parent of to" is also "to is the child of from", so
the inverse is computed, and storing it as a second row is refused.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from web.shared.core.ids import uuid7
from web.shared.core.models import BaseModel
from web.tenant.contacts.choices import RelationshipType, inverse
from web.tenant.contacts.models.people import Contact


class ContactRelationship(BaseModel):
    event_name = "contact_relationship"

    from_contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="relationships_from")
    to_contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="relationships_to")
    relationship_type = models.CharField(max_length=50, choices=RelationshipType.choices)
    description = models.TextField(blank=True, max_length=2000)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["from_contact", "to_contact", "relationship_type"],
                condition=models.Q(is_deleted=False),
                name="related_once_in_each_way",
            ),
            models.CheckConstraint(
                condition=~models.Q(from_contact=models.F("to_contact")), name="nobody_is_their_own_relative"
            ),
        ]

    def __str__(self) -> str:
        return f"Relationship {self.pk}"

    @property
    def inverse_type(self) -> str:
        return inverse(self.relationship_type)

    def event_data(self) -> dict[str, Any]:
        return {
            "from_contact": str(self.from_contact_id),
            "to_contact": str(self.to_contact_id),
            "relationship_type": self.relationship_type,
        }


class ContactGroup(BaseModel):
    event_name = "contact_group"

    name = models.CharField(max_length=100)
    description = models.TextField(blank=True, max_length=2000)
    contacts = models.ManyToManyField(Contact, through="ContactGroupMember", related_name="groups")
    is_active = models.BooleanField(default=True)

    class Meta(BaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(is_deleted=False), name="one_contact_group_per_name"
            )
        ]

    def __str__(self) -> str:
        return f"Group {self.pk}"


class ContactGroupMember(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    group = models.ForeignKey(ContactGroup, on_delete=models.CASCADE, related_name="members")
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="group_rows")
    added_at = models.DateTimeField(auto_now_add=True)
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "contact"], name="in_a_group_once")]

    def __str__(self) -> str:
        return f"Member {self.pk}"
