"""What identity tells the domain: who joined, changed, or came in through the emergency door."""

from __future__ import annotations

import uuid

from web.shared.core.events import declare

INVITED = declare("user.invited", "Somebody was invited", role=str)
JOINED = declare("user.joined", "Somebody joined the organisation", role=str)
CHANGED = declare("user.changed", "A member's role, teams or state changed", fields=list, role=str)
DEACTIVATED = declare("user.deactivated", "A member was deactivated")
ROLE_CHANGED = declare("role.changed", "A role's rights changed", role=str)
BREAK_GLASS_OPENED = declare(
    "breakglass.opened", "The platform opened access to this organisation", user=uuid.UUID, access=str
)
BREAK_GLASS_CLOSED = declare("breakglass.closed", "The platform's access ended", user=uuid.UUID)
