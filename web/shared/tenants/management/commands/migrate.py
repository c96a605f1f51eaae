"""`migrate` is `migrate_schemas`: no command here changes one schema and forgets the others."""

from web.shared.tenants.management.commands.migrate_schemas import Command

__all__ = ["Command"]
