"""Every unique index on which writers lean, as the database has them: an index that went away turns this red.

Services and forms look for a double before they write, so most tests would pass without the index; two
writers at once would not.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection

from web.shared.tenants.context import tenant_context

pytestmark = [pytest.mark.django_db, pytest.mark.database]

SHARED = {
    "accounts_platformrole (user_id, role)",
    "accounts_refreshtoken (digest)",
    "accounts_tenantmembership (user_id, tenant_id)",
    "accounts_tenantrole (tenant_id, name)",
    "accounts_user (email)",
    "accounts_user (lower((email)::text))",
    "inbound_number (trunk, number)",
    "tenant_key (tenant) WHERE active",
    "tenants_domain (domain)",
    "tenants_domain (slug) WHERE is_primary",
}

OF_A_TENANT = {
    "calls_agentdevice (endpoint)",
    "calls_agentdevice (user_id) WHERE ((NOT is_deleted) AND ((kind)::text = 'browser'::text))",
    "calls_calldisposition (code)",
    "calls_calldraft (call_id, user_id)",
    "calls_callqueue (name) WHERE (NOT is_deleted)",
    "calls_notreadyreason (code)",
    "calls_numberroute (trunk, number) WHERE (NOT is_deleted)",
    "calls_queuemembership (user_id, queue_id) WHERE (NOT is_deleted)",
    "calls_queuevisit (call_id, number)",
    "calls_segment (call_id, leg)",
    "calls_wrapup (call_id, user_id)",
    "contacts_contactphone (contact_id) WHERE is_primary",
    "contacts_contactphone (contact_id, number)",
    "records_idempotencykey (owner, key)",
}

LOG = {
    "log_checkpoint (tenant)",
    "log_fact (tenant, seq, day)",
    "log_owner (shard)",
    "log_party (tenant, party)",
    "log_position (tenant)",
}
"""Primary keys of the log, which is plain SQL."""


def indexes(schema: str, pattern: str) -> set[str]:
    """`table (columns)` of the schema's unique indexes with such a name; Django's own tables left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND indexname ~ %s "
            "AND indexdef LIKE 'CREATE UNIQUE%%' AND tablename !~ '^(auth|django)_'",
            [schema, pattern],
        )
        found = [re.fullmatch(r".* ON (?:ONLY )?\S+?\.(\w+) USING btree (.*)", row[0]) for row in cursor]
    return {f"{each[1]} {each[2]}" for each in found if each is not None}


def test_every_unique_index_is_there(tenants: Any) -> None:
    tenant = tenants[0].pk
    with tenant_context(tenant):
        assert indexes("public", "(?<!_pkey)$") == SHARED
        assert indexes(tenant, "(?<!_pkey)$") == OF_A_TENANT
        assert indexes("public", "^log_[a-z]+_pkey$") == LOG
