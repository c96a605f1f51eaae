"""What Django publishes to the daemon: policy, roster and the tenants' keys.

Policy is a manifest per version, naming one content-hashed blob per queue; every version stays. Roster is one
versioned row per agent. Keys are wrapped by the master key before they come here. The daemon reads; only the
application writes, in the transaction of the change, and says so on channel `murima_published`.
"""

from django.conf import settings
from django.db import migrations

TABLES = """
CREATE TABLE public.policy_blob (
    tenant text NOT NULL,
    hash text NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
    kind text NOT NULL,
    data json NOT NULL,
    stored timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, hash)
);

CREATE TABLE public.policy_release (
    tenant text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    hash text NOT NULL CHECK (hash ~ '^[0-9a-f]{64}$'),
    manifest json NOT NULL,
    published timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant, version)
);

CREATE TABLE public.roster_entry (
    tenant text NOT NULL,
    agent text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    data json NOT NULL,
    published timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, agent)
);

CREATE TABLE public.tenant_key (
    tenant text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    wrapped bytea NOT NULL,
    active boolean NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, version)
);
CREATE UNIQUE INDEX one_active_key_per_tenant ON public.tenant_key (tenant) WHERE active;
"""

DROP = "DROP TABLE public.tenant_key, public.roster_entry, public.policy_release, public.policy_blob"


def statements(owner: str, application: str, daemon: str, quote=lambda name: f'"{name}"'):
    """Every statement of this migration, for these roles; also what tests make a scratch database of."""
    yield TABLES
    if application != owner:
        app = quote(application)
        yield f"GRANT SELECT, INSERT ON public.policy_blob, public.policy_release TO {app}"
        yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON public.roster_entry, public.tenant_key TO {app}"
    if daemon not in (owner, application):
        yield (
            "GRANT SELECT ON public.policy_blob, public.policy_release, public.roster_entry, "
            f"public.tenant_key TO {quote(daemon)}"
        )


def _forward(apps, schema_editor):
    quote = schema_editor.connection.ops.quote_name
    roles = (
        settings.DATABASE_OWNER["USER"],
        settings.DATABASES["default"]["USER"],
        settings.DATABASE_DAEMON["USER"],
    )
    with schema_editor.connection.cursor() as cursor:
        for statement in statements(*roles, quote=quote):
            cursor.execute(statement)


def _back(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(DROP)


class Migration(migrations.Migration):
    dependencies = [("core", "0002_log")]
    operations = [migrations.RunPython(_forward, _back)]
