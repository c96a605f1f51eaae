"""What is said to PostgreSQL, word for word. The tables are made by migrations of web.shared.core.

Lists of facts and parties go as binary (%b): as text, every quotation mark in them is escaped one by one.
"""

OWNER = "SELECT epoch, holder FROM public.log_owner WHERE shard = %s"

OWNER_FOR_SHARE = "SELECT epoch FROM public.log_owner WHERE shard = %s FOR SHARE"

TAKE = """
INSERT INTO public.log_owner AS o (shard, epoch, holder)
VALUES (%(shard)s, %(above)s + 1, %(holder)s)
ON CONFLICT (shard) DO UPDATE
SET epoch = greatest(o.epoch, %(above)s) + 1, holder = excluded.holder, started = now()
RETURNING epoch
"""

CONFIRM = """
INSERT INTO public.log_owner AS o (shard, epoch, holder)
VALUES (%(shard)s, %(epoch)s, %(holder)s)
ON CONFLICT (shard) DO UPDATE
SET epoch = excluded.epoch, holder = excluded.holder, started = now()
WHERE o.epoch < excluded.epoch
"""

OWNER_AND_POSITIONS = """
WITH owner AS MATERIALIZED (
    SELECT epoch FROM public.log_owner WHERE shard = %s FOR SHARE
), place AS MATERIALIZED (
    SELECT tenant, seq FROM public.log_position WHERE tenant = ANY(%s) ORDER BY tenant FOR UPDATE
)
SELECT (SELECT epoch FROM owner), ARRAY(SELECT tenant FROM place ORDER BY tenant),
ARRAY(SELECT seq FROM place ORDER BY tenant)
"""
"""The shard's epoch, and the positions of some tenants, both locked."""

POSITIONS = "SELECT tenant, seq FROM public.log_position WHERE shard = %s"

_FACTS = """
unnest(%b::text[], %b::bigint[], %b::date[], %b::bigint[], %b::bigint[], %b::text[], %b::text[], %b::text[])
AS t (tenant, seq, day, epoch, at, type, data, ask)
"""

INSERT_FACTS = f"""
INSERT INTO public.log_fact (tenant, seq, day, epoch, at, type, data, ask)
SELECT tenant, seq, day, epoch, at, type, data::json, ask FROM {_FACTS}
ON CONFLICT DO NOTHING
"""  # noqa: S608

WRITE_FACTS = f"""
WITH written AS (
    {INSERT_FACTS} RETURNING 1
), place AS MATERIALIZED (
    SELECT tenant, seq, at FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) AS t (tenant, seq, at)
), moved AS (
    INSERT INTO public.log_position AS p (tenant, shard, seq, at)
    SELECT tenant, %s, seq, at FROM place
    ON CONFLICT (tenant) DO UPDATE SET shard = excluded.shard, seq = excluded.seq, at = excluded.at
)
SELECT (SELECT count(*) FROM written),
(SELECT count(pg_notify('murima_log', tenant || ' ' || seq)) FROM place)
"""  # noqa: S608
"""Facts, their tenants' positions and the notices of them in one statement: each one more costs the daemon a
turn of its loop."""

EQUAL_FACTS = f"""
SELECT count(*) FROM public.log_fact AS f JOIN {_FACTS}
ON f.tenant = t.tenant AND f.seq = t.seq AND f.day = t.day AND f.epoch = t.epoch AND f.at = t.at
AND f.type = t.type AND f.data::text = t.data AND f.ask IS NOT DISTINCT FROM t.ask
"""  # noqa: S608

INSERT_PARTIES = """
INSERT INTO public.log_party (tenant, party, key, sealed, digest)
SELECT tenant, party, key, sealed, nullif(digest, ''::bytea)
FROM unnest(%b::text[], %b::text[], %b::int[], %b::bytea[], %b::bytea[])
AS t (tenant, party, key, sealed, digest)
ON CONFLICT DO NOTHING
"""

HAVE_PARTIES = """
SELECT tenant, party FROM public.log_party
JOIN unnest(%s::text[], %s::text[]) AS t (tenant, party) USING (tenant, party)
"""

KEEP_TRANSIT_KEYS = """
INSERT INTO public.transit_key (shard, number, wrapped)
SELECT %s, number, wrapped FROM unnest(%s::bigint[], %s::bytea[]) AS t (number, wrapped)
ON CONFLICT DO NOTHING
"""

DESTROY_TRANSIT_KEYS = """
DELETE FROM public.transit_key WHERE shard = %s AND number <> ALL(%s::bigint[]) AND number < %s
"""

TENANT_KEYS = "SELECT version, wrapped, active FROM public.tenant_key WHERE tenant = %s ORDER BY version"

KEEP_CHECKPOINT = """
INSERT INTO public.log_checkpoint AS c (tenant, epoch, seq, at, data)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (tenant) DO UPDATE
SET epoch = excluded.epoch, seq = excluded.seq, at = excluded.at, data = excluded.data, stored = now()
WHERE c.seq <= excluded.seq
"""

CHECKPOINTS = """
SELECT c.tenant, c.data::text FROM public.log_checkpoint AS c
JOIN public.log_position AS p USING (tenant) WHERE p.shard = %s
"""

ENTRIES = """
SELECT epoch, seq, at, type, data::text, ask FROM public.log_fact
WHERE tenant = %s AND seq > %s ORDER BY seq LIMIT %s
"""

MAKE_PARTITION = "SELECT public.log_partition(%s)"
