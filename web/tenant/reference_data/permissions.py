"""Codes and routes of reference data: everybody chooses from it, few change it."""

from __future__ import annotations

from web.shared.accounts.registry import permission, resource, route

REFERENCE_VIEW = permission(
    "reference_data.view",
    "See categories, priorities, places and lists",
    all=["supervisor", "agent", "case_worker", "telephony_admin", "viewer"],
)
REFERENCE_EDIT = permission(
    "reference_data.edit", "Change categories, priorities, places and lists", all=["supervisor"]
)
REFERENCE_DELETE = permission("reference_data.delete", "Delete and merge categories, places and lists")

for _name in ("case-category", "priority", "location", "category", "item"):
    resource(f"reference_data:{_name}", view=REFERENCE_VIEW, edit=REFERENCE_EDIT, delete=REFERENCE_DELETE)
    route(f"reference_data:{_name}-merge", POST=REFERENCE_DELETE)
    route(f"reference_data:{_name}-usage", GET=REFERENCE_VIEW)
for _name in ("case-category", "location", "item"):
    route(f"reference_data:{_name}-tree", GET=REFERENCE_VIEW)
    route(f"reference_data:{_name}-imports", POST=REFERENCE_EDIT)
    route(f"reference_data:{_name}-exports", POST=REFERENCE_VIEW)
