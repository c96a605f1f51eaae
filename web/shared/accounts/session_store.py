"""Browser sessions in our own table, so that a person's sessions can be listed and ended.

Django's database store with three more columns, filled from the payload: whose, of which tenant, since when.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

_KEY = re.compile(r"[a-z0-9]{32}")
TENANT_KEY = "tenant"
SIGNED_IN_AT = "signed_in_at"


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> Any:
        from web.shared.accounts.models import Session

        return Session

    def _validate_session_key(self, key: Any) -> bool:
        # What Django makes; anything else in the cookie never reaches the database.
        return isinstance(key, str) and _KEY.fullmatch(key) is not None

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row: Any = super().create_model_instance(data)
        row.user_id = data.get(SESSION_KEY)
        row.tenant_id = data.get(TENANT_KEY, "")
        row.created_at = datetime.fromisoformat(data[SIGNED_IN_AT]) if SIGNED_IN_AT in data else None
        return row
