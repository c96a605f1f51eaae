"""E-mail and password → user.

Django's ModelBackend, which hashes a password for unknown people too, so that the time an answer takes does
not tell who exists.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend


class EmailBackend(ModelBackend):
    # Permissions come from memberships, never from Django's own tables.
    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        return False
