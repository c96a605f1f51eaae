"""Codes and routes of API keys."""

from __future__ import annotations

from web.shared.accounts.registry import permission, resource, route

APIKEYS_MANAGE = permission("apikeys.manage", "Make, change and revoke API keys")

resource("api-keys:key", view=APIKEYS_MANAGE, edit=APIKEYS_MANAGE)
route("api-keys:key-requests", GET=APIKEYS_MANAGE)
