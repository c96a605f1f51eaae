"""Codes and routes of contacts."""

from __future__ import annotations

from web.shared.accounts.registry import permission, resource

CONTACTS_VIEW = permission(
    "contacts.view", "See contacts", all=["supervisor", "agent", "case_worker", "viewer"]
)
CONTACTS_EDIT = permission(
    "contacts.edit", "Add and change contacts", all=["supervisor", "agent", "case_worker"]
)
CONTACTS_DELETE = permission("contacts.delete", "Delete contacts", all=["supervisor"])

resource("contacts:contact", view=CONTACTS_VIEW, edit=CONTACTS_EDIT, delete=CONTACTS_DELETE)
