"""Keys of callers on their way to their rows, made and destroyed by the daemon of each shard.

They seal no row: what they sealed lies in segments and streams only, and is unreadable once they are gone.
The table shows each process that reads the streams the keys that live; wrapped by the master key, as
tenants' keys are. `number` is the instant it was made, in milliseconds.
"""

from django.conf import settings
from django.db import migrations

TABLE = """
CREATE TABLE public.transit_key (
    shard text NOT NULL,
    number bigint NOT NULL CHECK (number > 0),
    wrapped bytea NOT NULL,
    PRIMARY KEY (shard, number)
)
"""


def statements(owner: str, application: str, daemon: str, quote=lambda name: f'"{name}"'):
    """Every statement of this migration, for these roles; also what tests make a scratch database of."""
    yield TABLE
    if application != owner:
        yield f"GRANT SELECT ON public.transit_key TO {quote(application)}"
    if daemon != owner:
        yield f"GRANT SELECT, INSERT, DELETE ON public.transit_key TO {quote(daemon)}"


def _forward(apps, schema_editor):
    roles = (
        settings.DATABASE_OWNER["USER"],
        settings.DATABASES["default"]["USER"],
        settings.DATABASE_DAEMON["USER"],
    )
    with schema_editor.connection.cursor() as cursor:
        for statement in statements(*roles, quote=schema_editor.connection.ops.quote_name):
            cursor.execute(statement)


def _back(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("DROP TABLE public.transit_key")


class Migration(migrations.Migration):
    dependencies = [("core", "0004_audit_seals")]
    operations = [migrations.RunPython(_forward, _back)]
