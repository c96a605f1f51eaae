"""Codes and routes of contacts."""

from __future__ import annotations

from web.shared.accounts.registry import permission, resource, route

CONTACTS_VIEW = permission(
    "contacts.view", "See contacts", all=["supervisor", "agent", "case_worker", "viewer"]
)
CONTACTS_EDIT = permission(
    "contacts.edit", "Add and change contacts", all=["supervisor", "agent", "case_worker"]
)
CONTACTS_DELETE = permission("contacts.delete", "Delete contacts", all=["supervisor"])
CONTACTS_VIEW_SENSITIVE = permission(
    "contacts.view_sensitive",
    "See dates of birth, addresses, sensitive fields, and who anonymous contacts are",
    all=["supervisor", "case_worker"],
)
CONTACTS_MERGE = permission(
    "contacts.merge", "Merge contacts and undo merges", all=["supervisor", "case_worker"]
)
CONTACTS_ERASE = permission("contacts.erase", "Erase contacts for good")
CONTACTS_EXPORT = permission("contacts.export", "Export contacts", all=["supervisor"])
CONTACTS_IMPORT = permission("contacts.import", "Import contacts", all=["supervisor"])
CONTACTS_HOLD = permission("contacts.hold", "Put contacts under legal hold and release them")
CONTACTS_CONFIGURE = permission("contacts.configure", "Say which custom fields contacts have")

resource("contacts:contact", view=CONTACTS_VIEW, edit=CONTACTS_EDIT, delete=CONTACTS_DELETE)
resource("contacts:group", view=CONTACTS_VIEW, edit=CONTACTS_EDIT, delete=CONTACTS_DELETE)
route("contacts:group-members", POST=CONTACTS_EDIT)
resource("contacts:relationship", view=CONTACTS_VIEW, edit=CONTACTS_EDIT)
route("contacts:contact-relationships", GET=CONTACTS_VIEW)
route("contacts:contact-consents", GET=CONTACTS_VIEW, POST=CONTACTS_EDIT)
route("contacts:contact-reachability", GET=CONTACTS_VIEW)
route("contacts:contact-timeline", GET=CONTACTS_VIEW)
route("contacts:contact-merge", POST=CONTACTS_MERGE)
route("contacts:contact-hold", POST=CONTACTS_HOLD, DELETE=CONTACTS_HOLD)
route("contacts:contact-erase", POST=CONTACTS_ERASE)
route("contacts:contact-export", POST=CONTACTS_EXPORT)
route("contacts:contact-duplicates", GET=CONTACTS_VIEW)
route("contacts:contact-anonymous", POST=CONTACTS_EDIT)
route("contacts:merge-list", GET=CONTACTS_VIEW)
route("contacts:merge-detail", GET=CONTACTS_VIEW)
route("contacts:merge-undo", POST=CONTACTS_MERGE)
route("contacts:imports", POST=CONTACTS_IMPORT)
route("contacts:exports", POST=CONTACTS_EXPORT)
route("contacts:field-schema", GET=CONTACTS_VIEW, PUT=CONTACTS_CONFIGURE, DELETE=CONTACTS_CONFIGURE)
