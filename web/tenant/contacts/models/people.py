"""People whom the tenant serves, the numbers they call from and where they live.

A number is a row of its own: a household shares one phone, and one person has several. So a number may belong
to many contacts, but once only to each, and a contact has at most one primary number. Two indexes serve the
ring of a phone: the exact number, and its digits from the last to the first for a match by suffix. A number
also says how it may be used: a call at the wrong hour can put somebody in danger.

`search_text` and `name_key` are what people search by, written by the services with every change: plain lower
case, one trigram index each. An anonymous contact puts neither name nor number there.

A contact leaves in three ways, and its id is never given again: deleted (may come back), merged into another
(answers with that one's id), erased (empty for good).
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Reverse

from telephony.contract.hours import known_zone
from web.shared.core.ids import uuid7
from web.shared.core.models import BaseModel
from web.shared.core.validators import check_object, check_tags
from web.tenant.contacts import safe_hours
from web.tenant.contacts.choices import AddressKind, ContactMethod, HoldReason, PhoneLabel

_ALIVE = models.Q(is_deleted=False)
_FEW = {
    "anonymous": models.Q(is_anonymous=True),
    "inactive": models.Q(is_active=False),
    "on_hold": models.Q(legal_hold=True),
}


def check_safe_hours(value: object) -> None:
    try:
        safe_hours.check(value)
    except ValueError as wrong:
        raise ValidationError(str(wrong), code="invalid") from None


def check_time_zone(value: str) -> None:
    if not known_zone(value):
        raise ValidationError("Not the name of a time zone, such as Africa/Nairobi.", code="invalid")


class Contact(BaseModel):
    event_name = "contact"

    first_name = models.CharField(max_length=100, blank=True)
    last_name = models.CharField(max_length=100, blank=True)
    email = models.EmailField(blank=True)
    organization = models.CharField(max_length=200, blank=True)
    title = models.CharField(max_length=100, blank=True)
    address = models.TextField(blank=True, max_length=2000)
    date_of_birth = models.DateField(null=True, blank=True)
    preferred_language = models.CharField(max_length=10, default="en", blank=True)
    preferred_contact_method = models.CharField(max_length=20, choices=ContactMethod.choices, blank=True)
    time_zone = models.CharField(
        max_length=64,
        default="",
        db_default="",
        blank=True,
        validators=[check_time_zone],
        help_text="Where the safe hours hold; empty: the organisation's.",
    )
    custom_fields = models.JSONField(default=dict, blank=True, validators=[check_object])
    tags = models.JSONField(default=list, blank=True, validators=[check_tags])
    is_active = models.BooleanField(default=True)

    is_anonymous = models.BooleanField(default=False, db_default=False)
    pseudonym = models.CharField(max_length=8, default="", db_default="", blank=True, editable=False)

    legal_hold = models.BooleanField(default=False, db_default=False, editable=False)
    legal_hold_reason = models.CharField(
        max_length=20, choices=HoldReason.choices, default="", db_default="", blank=True, editable=False
    )
    legal_hold_at = models.DateTimeField(null=True, blank=True, editable=False)
    legal_hold_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)
    merged_into = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="merged_here"
    )

    name_key = models.TextField(default="", db_default="", blank=True, editable=False)
    search_text = models.TextField(default="", db_default="", blank=True, editable=False)

    class Meta(BaseModel.Meta):
        indexes = [
            models.Index(fields=["last_name", "first_name"], name="contact_by_name"),
            models.Index(fields=["created_at", "id"], name="contact_by_created", condition=_ALIVE),
            models.Index(fields=["updated_at", "id"], name="contact_by_updated", condition=_ALIVE),
            models.Index(fields=["last_name", "id"], name="contact_by_last_name", condition=_ALIVE),
            models.Index(fields=["first_name", "id"], name="contact_by_first_name", condition=_ALIVE),
            # Lists narrowed to what few contacts are: in the order of creation they would be met late.
            *[
                models.Index(fields=["created_at", "id"], name=f"contact_{name}", condition=_ALIVE & few)
                for name, few in _FEW.items()
            ],
            models.Index(
                fields=["preferred_language", "created_at", "id"],
                name="contact_by_language",
                condition=_ALIVE,
            ),
            models.Index(fields=["email"], name="contact_by_email", condition=~models.Q(email="")),
            models.Index(
                fields=["date_of_birth", "last_name"],
                name="contact_by_birth",
                condition=models.Q(date_of_birth__isnull=False),
            ),
            GinIndex(fields=["search_text"], opclasses=["gin_trgm_ops"], name="contact_by_text"),
            GinIndex(fields=["name_key"], opclasses=["gin_trgm_ops"], name="contact_by_likeness"),
            GinIndex(fields=["tags"], opclasses=["jsonb_path_ops"], name="contact_by_tag"),
        ]

    def __str__(self) -> str:
        return f"Contact {self.pk}"

    def clean(self) -> None:
        if not (self.first_name.strip() or self.is_anonymous or self.erased_at):
            raise ValidationError(
                {"first_name": ValidationError("Only an anonymous contact has no name.", code="blank")}
            )

    def event_data(self) -> dict[str, Any]:
        return {"is_anonymous": self.is_anonymous}

    @property
    def name(self) -> str:
        """What screens show: never the typed name of somebody who wants to stay unnamed."""
        if self.erased_at is not None:
            return "Erased contact"
        if self.is_anonymous:
            return f"Caller {self.pseudonym}".strip()
        return self.real_name

    @property
    def real_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class ContactPhone(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="phones")
    number = models.CharField(
        max_length=16, validators=[RegexValidator(r"\A\+[1-9][0-9]{2,14}\Z", "E.164, beginning with '+'.")]
    )
    label = models.CharField(max_length=10, choices=PhoneLabel.choices, default=PhoneLabel.MOBILE)
    is_primary = models.BooleanField(default=False)
    safe_to_call = models.BooleanField(default=True, db_default=True)
    safe_to_leave_message = models.BooleanField(default=True, db_default=True)
    safe_to_text = models.BooleanField(default=True, db_default=True)
    conceal_caller = models.BooleanField(
        default=False, db_default=False, help_text="Never say who calls, nor leave a number to call back."
    )
    safe_hours = models.JSONField(
        default=dict,
        db_default={},
        blank=True,
        validators=[check_safe_hours],
        help_text='Windows of the week: {"monday": [["08:00", "17:00"]]}. Empty: any time.',
    )
    safety_note = models.CharField(max_length=500, default="", db_default="", blank=True)

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


class ContactAddress(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="addresses")
    kind = models.CharField(max_length=10, choices=AddressKind.choices, default=AddressKind.HOME)
    lines = models.TextField(blank=True, max_length=1000)
    locality = models.CharField(max_length=100, blank=True)
    postal_code = models.CharField(max_length=20, blank=True)
    country = models.CharField(
        max_length=2, blank=True, validators=[RegexValidator(r"\A[A-Z]{2}\Z", "An ISO 3166 code.")]
    )
    location = models.ForeignKey(
        "reference_data.Location", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"Address {self.pk}"
