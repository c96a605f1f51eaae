"""Codes and routes of events, webhooks, jobs and the audit trail."""

from __future__ import annotations

from web.shared.accounts.permissions import AUDIT_VIEW
from web.shared.accounts.registry import ANYONE, MEMBER, permission, resource, route

EVENTS_VIEW = permission("events.view", "Read the feed of events", all=["supervisor"])
WEBHOOKS_MANAGE = permission("webhooks.manage", "Send events to other systems")
JOBS_VIEW = permission(
    "jobs.view",
    "Watch long work and fetch what came of it",
    own=["supervisor", "agent", "case_worker", "telephony_admin", "viewer"],
)

route("events:event-list", GET=EVENTS_VIEW)
route("events:event-types", GET=MEMBER)

resource("webhooks:webhook", view=WEBHOOKS_MANAGE, edit=WEBHOOKS_MANAGE)
route("webhooks:webhook-test", POST=WEBHOOKS_MANAGE)
route("webhooks:webhook-rotate-secret", POST=WEBHOOKS_MANAGE)
route("webhooks:delivery-list", GET=WEBHOOKS_MANAGE)
route("webhooks:delivery-detail", GET=WEBHOOKS_MANAGE)
route("webhooks:delivery-replay", POST=WEBHOOKS_MANAGE)

route("jobs:job-list", GET=JOBS_VIEW)
route("jobs:job-detail", GET=JOBS_VIEW, DELETE=JOBS_VIEW)
route("jobs:job-result", GET=JOBS_VIEW)
route("jobs:job-errors", GET=JOBS_VIEW)
# The token says who may: it is short-lived, and its user is looked at again.
route("jobs:job-file", GET=ANYONE)

route("audit:event-list", GET=AUDIT_VIEW)
route("audit:event-detail", GET=AUDIT_VIEW)
