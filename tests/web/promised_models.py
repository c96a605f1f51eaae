"""The models that the design promises: where each is reached, and which tests hold it.

A row is (model, promised fields, what became of those that are named otherwise, addresses, tests). The check
in test_promised_models.py wants every field to be there or to be accounted for, every address to be routed
and every test module to exist; docs/models.md is this list, printed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BASE = "created_at updated_at created_by updated_by is_deleted deleted_at deleted_by"


@dataclass(frozen=True, slots=True)
class Promise:
    """`app.Model`, its fields, the renamed ones with the reason, addresses and test modules."""

    model: str
    fields: str
    at: tuple[str, ...]
    tests: tuple[str, ...]
    instead: dict[str, str] = field(default_factory=dict)
    base: bool = True
    """Whether it stands on BaseModel (id, times, who, soft deletion)."""


PROMISES = (
    # --- shared -------------------------------------------------------------------------------------------
    Promise(
        "accounts.User", "email phone is_platform_admin created_at updated_at is_active",
        ("/api/v1/auth/users/", "/api/v1/auth/me/", "/api/platform/users/"),
        ("test_accounts_people", "test_identity"), base=False,
    ),
    Promise(
        "accounts.TenantMembership", "user tenant role is_active joined_at invited_by",
        ("/api/v1/auth/users/",), ("test_accounts_people",), base=False,
    ),
    Promise(
        "accounts.TenantRole", "tenant name display_name permissions is_system_role is_active",
        ("/api/v1/auth/roles/",), ("test_accounts_people",), base=False,
    ),
    Promise(
        "accounts.PlatformRole", "user role permissions created_at",
        ("/api/platform/users/",), ("test_platform_api",), base=False,
    ),
    Promise(
        "tenants.Tenant", "name owner sector subscription_plan created_at settings",
        ("/api/platform/tenants/", "/api/v1/organization/"), ("test_platform_api",), base=False,
        instead={
            "subdomain": "Domain.slug: a host is a row of its own",
            "is_active": "status (provisioning, active, suspended); is_active is computed from it",
        },
    ),
    Promise(
        "tenants.Domain", "domain tenant is_primary",
        ("/api/platform/tenants/",), ("test_tenancy",), base=False,
    ),
    Promise(
        "tenants.TenantInvitation", "tenant email role invited_by expires_at",
        ("/api/v1/auth/invitations/",), ("test_accounts_invitations",), base=False,
        instead={
            "token": "token_digest: the token itself is only in the e-mail",
            "is_accepted": "accepted_at says when",
        },
    ),
    Promise(
        "records.AuditEvent", "action object_type object_id changes ip_address",
        ("/api/v1/audit/",), ("test_audit_seals",), base=False,
        instead={
            "user": "actor_kind and actor_id: keys and the system act too",
            "tenant": "the schema that the row lies in",
            "object_repr": "left out: it would hold names",
            "user_agent": "left out: the session it belongs to has it",
        },
    ),
    Promise(
        "api.APIKey", "tenant name permissions rate_limit is_active last_used",
        ("/api/v1/api-keys/",), ("test_api_keys",), base=False,
        instead={"key": "prefix and digest: the key is shown once and stored nowhere"},
    ),
    Promise(
        "api.APIRequestLog", "tenant user endpoint method status_code response_time ip_address",
        ("/api/v1/api-keys/",), ("test_api_keys",), base=False,
    ),
    Promise(
        "platform.SystemHealth", "component status metrics checked_at",
        ("/api/platform/health/",), ("test_platform_api",), base=False,
    ),
    Promise(
        "platform.TenantUsage", "tenant date active_users api_requests storage_used cases_created",
        ("/api/platform/analytics/",), ("test_platform_api",), base=False,
    ),
    # --- cases --------------------------------------------------------------------------------------------
    Promise(
        "cases.Case",
        "case_number title description status priority case_type workflow current_stage assigned_to due_date"
        " custom_fields tags",
        ("/api/v1/cases/",), ("test_cases_resources", "test_cases_rules"),
    ),
    Promise(
        "cases.CaseHistory", "case field_name old_value new_value change_reason",
        ("/api/v1/cases/{id}/history/",), ("test_cases_resources", "test_cases_rules"), base=False,
    ),
    Promise(
        "cases.CaseLink", "from_case to_case link_type description",
        ("/api/v1/cases/{id}/links/",), ("test_cases_resources", "test_cases_rules"),
    ),
    # --- communications -----------------------------------------------------------------------------------
    Promise(
        "communications.Channel", "name type configuration is_active",
        ("/api/v1/communications/channels/",), ("test_communications_resources",),
    ),
    Promise(
        "communications.Interaction",
        "channel contact case direction content timestamp external_id metadata attachments",
        ("/api/v1/communications/interactions/",), ("test_communications_resources",),
    ),
    Promise(
        "communications.MessageTemplate", "name channel_type subject content variables is_active",
        ("/api/v1/communications/templates/",), ("test_communications_resources",),
    ),
    Promise(
        "communications.Conversation", "contact case last_interaction status assigned_to",
        ("/api/v1/communications/conversations/",), ("test_communications_resources",),
    ),
    # --- calls --------------------------------------------------------------------------------------------
    Promise(
        "calls.Call",
        "case contact caller_number caller_name agent direction status started_at answered_at ended_at"
        " disposition",
        ("/api/v1/calls/",), ("test_calls", "test_calls_domain"),
        instead={
            "call_id": "id; Asterisk's own ids are in asterisk_ids",
            "duration": "wait, talk, hold and wrap_up, each exact",
            "recording_path": "recordings, by id: a path from outside is never believed",
        },
    ),
    Promise(
        "calls.CallEvent", "call details",
        ("/api/v1/calls/{id}/events/",), ("test_calls", "test_intake"), base=False,
        instead={"event_type": "type", "timestamp": "at", "user": "actor"},
    ),
    Promise(
        "calls.CallTransfer", "call transfer_type from_agent to_agent reason status",
        ("/api/v1/calls/{id}/transfers/",), ("test_calls_domain",),
    ),
    Promise(
        "calls.CallDisposition",
        "name code category requires_follow_up requires_case_creation is_active",
        ("/api/v1/calls/dispositions/",), ("test_calls_routing",),
    ),
    Promise(
        "calls.CallQueue", "name is_active", ("/api/v1/calls/queues/",), ("test_calls_routing",),
        instead={
            "asterisk_queue_name": "the queue's id; its fallback in Asterisk is generated from it",
            "max_wait_time": "max_wait_seconds",
            "ring_strategy": "strategy",
        },
    ),
    # --- contacts -----------------------------------------------------------------------------------------
    Promise(
        "contacts.Contact",
        "first_name last_name email organization title address date_of_birth preferred_language"
        " preferred_contact_method custom_fields tags is_active",
        ("/api/v1/contacts/",), ("test_contacts",),
        instead={"phone": "phones, rows of their own; the API takes `phone`, too: the primary one"},
    ),
    Promise(
        "contacts.ContactRelationship", "from_contact to_contact relationship_type description",
        ("/api/v1/contacts/relationships/",), ("test_contacts_people",),
    ),
    Promise(
        "contacts.ContactGroup", "name description contacts is_active",
        ("/api/v1/contacts/groups/",), ("test_contacts_people",),
    ),
    # --- reference data -----------------------------------------------------------------------------------
    Promise(
        "reference_data.CaseCategory", "name description code color parent is_active sort_order",
        ("/api/v1/reference-data/case-categories/",), ("test_reference_data",),
    ),
    Promise(
        "reference_data.Priority", "name level color sla_hours is_active",
        ("/api/v1/reference-data/priorities/",), ("test_reference_data",),
    ),
    Promise(
        "reference_data.Location", "name type parent code is_active",
        ("/api/v1/reference-data/locations/",), ("test_reference_data",),
    ),
    Promise(
        "reference_data.ReferenceDataCategory", "name display_name category_type description is_active",
        ("/api/v1/reference-data/categories/",), ("test_reference_data",),
    ),
    Promise(
        "reference_data.ReferenceData", "category code name parent sort_order metadata is_active",
        ("/api/v1/reference-data/items/",), ("test_reference_data",),
    ),
    # --- workflows ----------------------------------------------------------------------------------------
    Promise(
        "workflows.Workflow", "name description entity_type stages transitions actions is_active",
        ("/api/v1/workflows/",), ("test_workflows", "test_workflows_property"),
    ),
    Promise(
        "workflows.WorkflowInstance",
        "workflow entity_type entity_id current_stage data started_at completed_at",
        ("/api/v1/workflows/instances/",), ("test_workflows", "test_workflows_property"),
    ),
    Promise(
        "workflows.BusinessRule", "name description entity_type conditions actions is_active",
        ("/api/v1/workflows/rules/",), ("test_workflows_rules",),
    ),
    # --- documents ----------------------------------------------------------------------------------------
    Promise(
        "documents.Document",
        "case contact filename original_filename file_path mime_type size description tags is_public",
        ("/api/v1/documents/",), ("test_documents",),
    ),
    Promise(
        "documents.DocumentAccess", "document user access_type granted_by expires_at",
        ("/api/v1/documents/{id}/access/",), ("test_documents",),
    ),
    # --- tasks --------------------------------------------------------------------------------------------
    Promise(
        "tasks.Task",
        "case title description status priority assigned_to due_date completed_at estimated_hours"
        " actual_hours",
        ("/api/v1/tasks/",), ("test_tasks",),
    ),
    Promise(
        "tasks.TaskComment", "task content is_internal",
        ("/api/v1/tasks/{id}/comments/",), ("test_tasks",),
    ),
    Promise(
        "tasks.TaskDependency", "task depends_on dependency_type",
        ("/api/v1/tasks/{id}/dependencies/",), ("test_tasks",),
    ),
    # --- notifications ------------------------------------------------------------------------------------
    Promise(
        "notifications.NotificationRule",
        "name trigger_event conditions recipients channels template is_active",
        ("/api/v1/notifications/rules/",), ("test_notifications",),
    ),
    Promise(
        "notifications.Notification",
        "user title message notification_type entity_type entity_id is_read read_at channel delivery_status",
        ("/api/v1/notifications/",), ("test_notifications",),
    ),
)  # fmt: skip
