"""The log's tables: facts, parties, positions, checkpoints and the owner of each shard.

They are plain SQL without models: two processes share them, one of which knows no Django, and a model's
save() would be a second writer. Facts can be inserted and read, by nobody changed: UPDATE and DELETE are
granted to no role but the owner. Row security shows the application one tenant at a time, the one in the
setting `murima.tenant`; the daemon, which serves all tenants, says '*'.

A fact's row belongs to the day of its instant. Partitions are made ahead by a function that runs as the
owner, since the daemon may create nothing.
"""

from django.conf import settings
from django.db import migrations

TABLES = """
CREATE TABLE public.log_fact (
    tenant text NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    day date NOT NULL,
    epoch bigint NOT NULL,
    at bigint NOT NULL,
    type text NOT NULL,
    data json NOT NULL,
    ask text,
    PRIMARY KEY (tenant, seq, day),
    CHECK (day = date '1970-01-01' + (at / 86400000000)::int)
) PARTITION BY RANGE (day);

CREATE TABLE public.log_position (
    tenant text PRIMARY KEY,
    shard text NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL
);

CREATE TABLE public.log_party (
    tenant text NOT NULL,
    party text NOT NULL,
    key integer,
    sealed bytea,
    digest bytea,
    stored timestamptz NOT NULL DEFAULT now(),
    erased timestamptz,
    PRIMARY KEY (tenant, party),
    CHECK ((erased IS NULL) = (sealed IS NOT NULL))
);
CREATE INDEX log_party_digest ON public.log_party (tenant, digest) WHERE digest IS NOT NULL;

CREATE TABLE public.log_checkpoint (
    tenant text PRIMARY KEY,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL,
    data json NOT NULL,
    stored timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.log_owner (
    shard text PRIMARY KEY,
    epoch bigint NOT NULL,
    holder text NOT NULL,
    started timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION public.log_partition(wanted date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := 'log_fact_' || to_char(wanted, 'YYYYMMDD');
BEGIN
    IF wanted > (now() AT TIME ZONE 'UTC')::date + 8 OR wanted < date '1970-01-01' THEN
        RAISE EXCEPTION 'no partition for %: too far ahead', wanted;
    END IF;
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('murima log_partition'));
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.log_fact INCLUDING ALL)', name);
    EXECUTE format('ALTER TABLE public.log_fact ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                   name, wanted, wanted + 1);
END $$;
REVOKE ALL ON FUNCTION public.log_partition(date) FROM PUBLIC;
"""

DROP = """
DROP FUNCTION public.log_partition(date);
DROP TABLE public.log_owner, public.log_checkpoint, public.log_party, public.log_position, public.log_fact;
"""

BY_TENANT = ("log_fact", "log_position", "log_party", "log_checkpoint")


def statements(owner: str, application: str, daemon: str, quote=lambda name: f'"{name}"'):
    """Every statement of this migration, for these roles; also what tests make a scratch database of."""
    yield TABLES
    for table in BY_TENANT:
        yield f"ALTER TABLE public.{table} ENABLE ROW LEVEL SECURITY"
        yield (
            f"CREATE POLICY one_tenant ON public.{table} "
            "USING (tenant = current_setting('murima.tenant', true))"
        )
        yield (
            f"CREATE POLICY every_tenant ON public.{table} TO {quote(daemon)} "
            "USING (current_setting('murima.tenant', true) = '*')"
        )
    app = quote(application)
    if application != owner:
        yield f"GRANT SELECT ON public.log_fact, public.log_position, public.log_checkpoint, public.log_party TO {app}"
        yield f"GRANT UPDATE (key, sealed, digest, erased) ON public.log_party TO {app}"
        yield f"GRANT SELECT ON public.log_owner TO {app}"
    if daemon != owner:
        role = quote(daemon)
        yield f"GRANT USAGE ON SCHEMA public TO {role}"
        yield f"GRANT SELECT, INSERT ON public.log_fact, public.log_party TO {role}"
        yield f"GRANT SELECT, INSERT, UPDATE ON public.log_position, public.log_checkpoint, public.log_owner TO {role}"
        yield f"GRANT EXECUTE ON FUNCTION public.log_partition(date) TO {role}"
    yield (
        "SELECT public.log_partition((now() AT TIME ZONE 'UTC')::date + n) FROM generate_series(-1, 7) AS n"
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
    dependencies = [("core", "0001_initial")]
    operations = [migrations.RunPython(_forward, _back)]
