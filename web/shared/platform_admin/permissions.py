"""Codes and routes of the platform's own host."""

from __future__ import annotations

from web.shared.accounts.registry import platform_permission, route

TENANTS_VIEW = platform_permission(
    "platform.tenants.view", "See organisations, their use and limits", roles=["admin", "support"]
)
TENANTS_MANAGE = platform_permission(
    "platform.tenants.manage", "Create, change and suspend organisations", roles=["admin"]
)
USERS_VIEW = platform_permission("platform.users.view", "See people's accounts", roles=["admin", "support"])
USERS_MANAGE = platform_permission("platform.users.manage", "Deactivate accounts", roles=["admin"])
ROLES_MANAGE = platform_permission("platform.roles.manage", "Give and take platform roles")
ANALYTICS_VIEW = platform_permission(
    "platform.analytics.view", "See figures over all organisations", roles=["admin", "support"]
)
HEALTH_VIEW = platform_permission(
    "platform.health.view", "See how the parts of the system are", roles=["admin", "support"]
)

route("platform:tenant-list", GET=TENANTS_VIEW, POST=TENANTS_MANAGE)
route("platform:tenant-detail", GET=TENANTS_VIEW, PATCH=TENANTS_MANAGE)
route("platform:tenant-suspend", POST=TENANTS_MANAGE)
route("platform:tenant-activate", POST=TENANTS_MANAGE)
route("platform:tenant-domains", GET=TENANTS_VIEW, POST=TENANTS_MANAGE)
route("platform:tenant-domain", DELETE=TENANTS_MANAGE)
route("platform:tenant-numbers", GET=TENANTS_VIEW, POST=TENANTS_MANAGE)
route("platform:tenant-number", DELETE=TENANTS_MANAGE)
route("platform:tenant-quotas", GET=TENANTS_VIEW, PATCH=TENANTS_MANAGE)
route("platform:tenant-usage", GET=TENANTS_VIEW)
route("platform:user-list", GET=USERS_VIEW)
route("platform:user-detail", GET=USERS_VIEW)
route("platform:user-deactivate", POST=USERS_MANAGE)
route("platform:user-activate", POST=USERS_MANAGE)
route("platform:user-roles", POST=ROLES_MANAGE)
route("platform:user-role", DELETE=ROLES_MANAGE)
route("platform:analytics", GET=ANALYTICS_VIEW)
route("platform:usage-list", GET=ANALYTICS_VIEW)
route("platform:health", GET=HEALTH_VIEW)
route("platform:health-history-list", GET=HEALTH_VIEW)
