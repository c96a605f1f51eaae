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
        SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relrowsecurity AS guarded,
            format('%I, public', n.nspname) AS path
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND (n.nspname = 'public' OR n.nspname ~ '^t_[a-z0-9]{{12}}$')
        AND c.relname <> ALL(ARRAY[{kept}])
        ORDER BY EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal) DESC
    LOOP
        IF one.guarded THEN
            EXECUTE 'TRUNCATE ' || one.name;
        ELSE
            EXECUTE format('SELECT EXISTS (SELECT FROM %s)', one.name) INTO filled;
            IF filled THEN
                PERFORM set_config('search_path', one.path, true);
                EXECUTE 'DELETE FROM ' || one.name;
            END IF;
        END IF;
    END LOOP;
END $$
"""
"""A test fills few of some hundred tables: truncating all takes a second, deleting those rows a tenth.
Triggers of a tenant's tables find what they call by the search path, and may write rows into tables without
triggers, which are therefore emptied after them."""


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
