"""Browser sessions in our own table, so that a person's sessions can be listed and ended.

Django's database store with more columns: whose, of which tenant, since when, from where. They repeat what
the payload says, because each save writes the row anew. `public_id` and `last_seen_at` are known once the
session was loaded.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

from web.shared.core.ids import uuid7

_KEY = re.compile(r"[a-z0-9]{32}")
TENANT_KEY = "tenant"
SIGNED_IN_AT = "signed_in_at"
PROVED_AT = "proved_at"
"""When the person last showed a password here, as ISO text; missing after a sign-in without one."""
DEVICE = "device"
ADDRESS = "address"
ENROL_ONLY = "enrol_only"
"""Set while the person may do nothing but set up a second factor."""
BREAK_GLASS = "break_glass"
"""The id of the BreakGlass under which somebody of the platform is here."""


class SessionStore(DatabaseStore):
    public_id: uuid.UUID | None = None
    last_seen_at: datetime | None = None

    @classmethod
    def get_model_class(cls) -> Any:
        from web.shared.accounts.models import Session

        return Session

    def load(self) -> dict[str, Any]:
        row: Any = self._get_session_from_db()  # type: ignore[attr-defined]
        if row is None:
            return {}
        self.public_id, self.last_seen_at = row.public_id, row.last_seen_at
        return dict(self.decode(row.session_data))

    def _validate_session_key(self, key: Any) -> bool:
        # What Django makes; anything else in the cookie never reaches the database.
        return isinstance(key, str) and _KEY.fullmatch(key) is not None

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row: Any = super().create_model_instance(data)
        row.user_id = data.get(SESSION_KEY)
        row.tenant_id = data.get(TENANT_KEY, "")
        row.created_at = datetime.fromisoformat(data[SIGNED_IN_AT]) if SIGNED_IN_AT in data else None
        self.public_id = row.public_id = self.public_id or uuid7()
        self.last_seen_at = row.last_seen_at = timezone.now()
        row.device, row.ip_address = data.get(DEVICE, ""), data.get(ADDRESS)
        row.break_glass_id = data.get(BREAK_GLASS)
        return row

    def flush(self) -> None:
        super().flush()
        self.public_id = self.last_seen_at = None
