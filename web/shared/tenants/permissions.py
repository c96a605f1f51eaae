"""The routes of one's own organisation; their code is declared with the people's."""

from __future__ import annotations

from web.shared.accounts.registry import MEMBER, route

route("organization:organization", GET=MEMBER, PATCH="settings.manage")
route("organization:quotas", GET="settings.manage")
