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
    "accounts_authenticator (credential_id)",
    "accounts_authenticator (user_id) WHERE ((kind)::text = 'totp'::text)",
    "accounts_externalidentity (provider_id, subject)",
    "accounts_identityprovider (tenant_id, slug)",
    "accounts_onetimetoken (digest)",
    "accounts_platformrole (user_id, role)",
    "accounts_recoverycode (user_id, digest)",
    "accounts_refreshtoken (digest)",
    "accounts_team (tenant_id, name)",
    "accounts_teammember (team_id, user_id)",
    "accounts_tenantmembership (user_id, tenant_id)",
    "accounts_tenantrole (tenant_id, name)",
    "accounts_user (email)",
    "accounts_user (lower((email)::text))",
    "api_apikey (digest)",
    "inbound_number (trunk, number)",
    "platform_idempotencykey (owner, key)",
    "platform_tenantusage (tenant_id, date)",
    "tenant_key (tenant) WHERE active",
    "tenants_domain (domain)",
    "tenants_domain (slug) WHERE is_primary",
    "tenants_erasurerecord (tenant, kind, object_id)",
    "tenants_provisioningstep (tenant_id, name)",
    "tenants_tenantinvitation (tenant_id, email) WHERE ((NOT is_accepted) AND (withdrawn_at IS NULL))",
    "tenants_tenantinvitation (token_digest)",
    "tenants_tenantquota (tenant_id, kind)",
}

OF_A_TENANT = {
    "calls_agentdevice (endpoint)",
    "calls_agentdevice (user_id) WHERE ((NOT is_deleted) AND ((kind)::text = 'browser'::text))",
    "calls_agentskill (user_id, skill_id) WHERE (NOT is_deleted)",
    "calls_calldisposition (code)",
    "calls_calldraft (call_id, user_id)",
    "calls_callqueue (name) WHERE (NOT is_deleted)",
    "calls_notreadyreason (code)",
    "calls_numberroute (trunk, number) WHERE (NOT is_deleted)",
    "calls_queuemembership (user_id, queue_id) WHERE (NOT is_deleted)",
    "calls_queueskill (queue_id, skill_id)",
    "calls_queuevisit (call_id, number)",
    "calls_segment (call_id, leg)",
    "calls_skill (code) WHERE (NOT is_deleted)",
    "calls_wrapup (call_id, user_id)",
    "cases_businesscalendar (name) WHERE (NOT is_deleted)",
    "cases_case (case_number)",
    "cases_caselink (from_case_id, to_case_id, link_type) WHERE (NOT is_deleted)",
    "cases_casemoment (event, case_id)",
    "cases_caseparty (case_id) WHERE ((NOT is_deleted) AND is_primary)",
    "cases_caseparty (case_id, contact_id, role) WHERE ((contact_id IS NOT NULL) AND (NOT is_deleted))",
    "cases_casesla (case_id, kind)",
    "cases_casetypeform (case_type_id, version)",
    "cases_casewatcher (case_id, user_id)",
    "cases_slaescalation (clock_id, cycle, step)",
    "cases_slapolicy (priority, case_type_id) NULLS NOT DISTINCT WHERE (NOT is_deleted)",
    "communications_channel (name) WHERE (NOT is_deleted)",
    "communications_conversationsegment (conversation_id) WHERE (ended_at IS NULL)",
    "communications_interaction (channel_id, external_id) WHERE (NOT ((external_id)::text = ''::text))",
    "communications_messagetemplate (name, channel_type, language) WHERE (NOT is_deleted)",
    "contacts_anonymousnumber (contact_id, digest)",
    "contacts_contactfieldschema (is_active) WHERE (is_active AND (NOT is_deleted))",
    "contacts_contactgroup (name) WHERE (NOT is_deleted)",
    "contacts_contactgroupmember (group_id, contact_id)",
    "contacts_contactphone (contact_id) WHERE is_primary",
    "contacts_contactphone (contact_id, number)",
    "contacts_contactrelationship (from_contact_id, to_contact_id, relationship_type) WHERE (NOT is_deleted)",
    "documents_documentaccess (document_id, user_id) WHERE (NOT is_deleted)",
    "documents_documentversion (document_id, number)",
    "notifications_escalation (rule_id, event_id)",
    'notifications_escalationstep (rule_id, "position")',
    "notifications_notification (user_id, event_id) WHERE (event_id IS NOT NULL)",
    "notifications_notificationdelivery (notification_id, channel, step)",
    "notifications_notificationpreference (user_id)",
    "records_domainevent (id)",
    "records_idempotencykey (owner, key)",
    "records_parkedevent (consumer, event_id)",
    "records_webhookdelivery (endpoint_id, event_id)",
    "reference_data_casecategory (code) WHERE (NOT is_deleted)",
    "reference_data_location (code) WHERE ((NOT is_deleted) AND ((code)::text > ''::text))",
    "reference_data_priority (code) WHERE ((NOT is_deleted) AND ((code)::text > ''::text))",
    "reference_data_priority (level) WHERE (NOT is_deleted)",
    "reference_data_referencedata (category_id, code) WHERE ((NOT is_deleted) AND ((code)::text > ''::text))",
    "reference_data_referencedatacategory (name) WHERE (NOT is_deleted)",
    "tasks_task (series_id, occurrence)",
    "tasks_taskdependency (task_id, depends_on_id) WHERE (NOT is_deleted)",
    'workflows_actionrun (rule_run_id, "position")',
    'workflows_actionrun (step_id, "position")',
    "workflows_approvalrequest (instance_id) WHERE ((status)::text = 'pending'::text)",
    "workflows_approvalvote (request_id, user_id)",
    "workflows_rulerun (rule_id, event_id, entity_id)",
    "workflows_workflow (name) WHERE (NOT is_deleted)",
    "workflows_workflowinstance (workflow_id, entity_type, entity_id)"
    " WHERE ((completed_at IS NULL) AND (NOT is_deleted))",
    "workflows_workflowtransition (instance_id, number)",
    "workflows_workflowversion (workflow_id, number)",
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
