"""Tables of contacts, in three groups.

people: contacts, with their numbers and addresses. links: relationships and groups. records: consents,
merges, what a tenant adds to a contact's fields, and keyed hashes of numbers whose owner stays unnamed.
"""

# Migrations name the validators here.
from web.shared.core.validators import check_object, check_tags
from web.tenant.contacts.models.links import ContactGroup, ContactGroupMember, ContactRelationship
from web.tenant.contacts.models.people import (
    Contact,
    ContactAddress,
    ContactPhone,
    check_safe_hours,
    check_time_zone,
)
from web.tenant.contacts.models.records import (
    AnonymousNumber,
    ContactConsent,
    ContactFieldSchema,
    ContactMerge,
)

__all__ = [
    "AnonymousNumber",
    "Contact",
    "ContactAddress",
    "ContactConsent",
    "ContactFieldSchema",
    "ContactGroup",
    "ContactGroupMember",
    "ContactMerge",
    "ContactPhone",
    "ContactRelationship",
    "check_object",
    "check_safe_hours",
    "check_tags",
    "check_time_zone",
]
