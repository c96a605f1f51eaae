"""Domain events about documents."""

from __future__ import annotations

import uuid

from web.shared.core.events import declare, declare_resource

declare_resource("document", "Document", case=uuid.UUID, contact=uuid.UUID, version=int, scan_status=str)
declare("document.version_added", "A new version of a document was uploaded", version=int)
declare("document.scanned", "The virus scanner looked at a document", version=int, scan_status=str)
declare("document.shared", "Somebody was given access to a document", user=uuid.UUID, access_type=str)
declare("document.unshared", "Somebody's access to a document was taken away", user=uuid.UUID)
