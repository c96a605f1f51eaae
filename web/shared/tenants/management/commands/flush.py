"""Empty every table of every schema; for tests alone.

Django's own flush would truncate what one schema's search path shows. This one works as the owner (the
application may not truncate), keeps the schemas, the migrations' history, content types and permissions, and
refuses outside MURIMA_ENV=test.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from config.env import KIND
from web.shared.core.exits import Code, Exit
from web.shared.tenants.context import public_context
from web.shared.tenants.ownership import owner_connection

KEPT = ("django_migrations", "django_content_type", "auth_permission")
_EMPTY = """
DO $$
DECLARE
    one record;
    filled boolean;
BEGIN
    SET CONSTRAINTS ALL DEFERRED;
    FOR one IN
        SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relrowsecurity AS guarded, triggers.own
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL (
            SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal) AS own
        ) triggers
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND (n.nspname = 'public' OR n.nspname ~ '^t_[a-z0-9]{{12}}$')
        AND c.relname <> ALL(ARRAY[{kept}])
        ORDER BY c.relrowsecurity OR triggers.own DESC
    LOOP
        IF NOT one.guarded THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', one.name) INTO filled;
        END IF;
        IF one.guarded OR (one.own AND filled) THEN
            EXECUTE 'TRUNCATE ' || one.name || ' CASCADE';
        ELSIF filled THEN
            EXECUTE 'DELETE FROM ' || one.name;
        END IF;
    END LOOP;
END $$
"""
"""A test fills few of some hundred tables: truncating all takes a second, deleting those rows a tenth. Tables
whose rows cannot be counted, or whose triggers would run, are truncated, and before any row is deleted."""


class Command(BaseCommand):
    help = "Tests only: empty every table of every schema."

    def add_arguments(self, parser: CommandParser) -> None:
        # Django's test cases pass these.
        parser.add_argument("--noinput", "--no-input", action="store_false", dest="interactive")
        parser.add_argument("--database", default="default")
        parser.add_argument("--reset-sequences", action="store_true", dest="reset_sequences")
        parser.add_argument("--allow-cascade", action="store_true", dest="allow_cascade")
        parser.add_argument("--inhibit-post-migrate", action="store_true", dest="inhibit_post_migrate")

    def handle(self, *args: Any, **options: Any) -> None:
        if KIND != "test":
            raise Exit("flush empties everything.", why="MURIMA_ENV is not test.", code=Code.PERMISSION)
        with owner_connection(), public_context(), connection.cursor() as cursor:
            kept = ", ".join(f"'{name}'" for name in KEPT)
            cursor.execute(_EMPTY.format(kept=kept))
