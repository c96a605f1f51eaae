"""Codes and routes of documents."""

from __future__ import annotations

from web.shared.accounts.registry import ANYONE, permission, resource, route

DOCUMENTS_VIEW = permission(
    "documents.view", "See documents", all=["supervisor", "viewer"], own=["agent", "case_worker"]
)
DOCUMENTS_EDIT = permission(
    "documents.edit", "Add and change documents", all=["supervisor"], own=["agent", "case_worker"]
)
DOCUMENTS_DELETE = permission("documents.delete", "Delete documents", all=["supervisor"])
DOCUMENTS_SHARE = permission(
    "documents.share", "Give others access to documents", all=["supervisor"], own=["agent", "case_worker"]
)

resource("documents:document", view=DOCUMENTS_VIEW, edit=DOCUMENTS_EDIT, delete=DOCUMENTS_DELETE)
route("documents:document-versions", GET=DOCUMENTS_VIEW, POST=DOCUMENTS_EDIT)
route("documents:document-content", GET=DOCUMENTS_VIEW)
route("documents:document-links", POST=DOCUMENTS_VIEW)
route("documents:link", GET=ANYONE)  # the link itself is the permission; see links.py
route("documents:access-list", GET=DOCUMENTS_SHARE, POST=DOCUMENTS_SHARE)
route("documents:access-detail", GET=DOCUMENTS_SHARE, PATCH=DOCUMENTS_SHARE, DELETE=DOCUMENTS_SHARE)
