"""People whom the tenant serves, and the numbers they call from.

A number is a row of its own: a household shares one phone, and one person has several. So a number may belong
to many contacts, but once only to each, and a contact has at most one primary number. Two indexes serve the
ring of a phone: the exact number, and its digits from the last to the first for a match by suffix.
"""

from __future__ import annotations

from django.contrib.postgres.indexes import OpClass
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Reverse

from web.shared.core.ids import uuid7
from web.shared.core.models import BaseModel
from web.tenant.contacts.choices import ContactMethod, PhoneLabel

MAX_TAGS = 50
MAX_TAG_LENGTH = 50


def check_tags(value: object) -> None:
    """A list of short texts."""
    if not isinstance(value, list) or len(value) > MAX_TAGS:
        raise ValidationError(f"A list of at most {MAX_TAGS} tags.", code="invalid")
    if any(not isinstance(tag, str) or not 0 < len(tag) <= MAX_TAG_LENGTH for tag in value):
        raise ValidationError(f"A tag is a text of 1 to {MAX_TAG_LENGTH} characters.", code="invalid")


def check_object(value: object) -> None:
    if not isinstance(value, dict):
        raise ValidationError("An object of names and values.", code="invalid")


class Contact(BaseModel):
    first_name = models.CharField(max_length=100)
    last_name = models.CharField(max_length=100, blank=True)
    email = models.EmailField(blank=True)
    organization = models.CharField(max_length=200, blank=True)
    title = models.CharField(max_length=100, blank=True)
    address = models.TextField(blank=True, max_length=2000)
    date_of_birth = models.DateField(null=True, blank=True)
    preferred_language = models.CharField(max_length=10, default="en", blank=True)
    preferred_contact_method = models.CharField(max_length=20, choices=ContactMethod.choices, blank=True)
    custom_fields = models.JSONField(default=dict, blank=True, validators=[check_object])
    tags = models.JSONField(default=list, blank=True, validators=[check_tags])
    is_active = models.BooleanField(default=True)

    class Meta(BaseModel.Meta):
        indexes = [models.Index(fields=["last_name", "first_name"], name="contact_by_name")]

    def __str__(self) -> str:
        return f"Contact {self.pk}"

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class ContactPhone(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="phones")
    number = models.CharField(
        max_length=16, validators=[RegexValidator(r"\A\+[1-9][0-9]{2,14}\Z", "E.164, beginning with '+'.")]
    )
    label = models.CharField(max_length=10, choices=PhoneLabel.choices, default=PhoneLabel.MOBILE)
    is_primary = models.BooleanField(default=False)

    class Meta:
        ordering = ["-is_primary", "id"]
        constraints = [
            models.UniqueConstraint(fields=["contact", "number"], name="number_once_per_contact"),
            models.UniqueConstraint(
                fields=["contact"], condition=models.Q(is_primary=True), name="one_primary_number_per_contact"
            ),
        ]
        indexes = [
            models.Index(fields=["number"], name="contact_by_number"),
            models.Index(OpClass(Reverse("number"), name="text_pattern_ops"), name="contact_by_suffix"),
        ]

    def __str__(self) -> str:
        return f"Phone {self.pk}"
