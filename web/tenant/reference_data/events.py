"""What reference data tells: each kind's three events, and merges."""

from __future__ import annotations

import uuid

from web.shared.core.events import declare, declare_resource

KINDS = {
    "case_category": "Case category",
    "priority": "Priority",
    "location": "Location",
    "reference_category": "Reference data category",
}

for _name, _label in KINDS.items():
    declare_resource(_name, _label, is_active=bool)
    declare(f"{_name}.merged", f"{_label}: merged into another", into=uuid.UUID, moved=int)
declare_resource("reference_item", "Reference data item", is_active=bool, category=uuid.UUID)
declare("reference_item.merged", "Reference data item: merged into another", into=uuid.UUID, moved=int)
