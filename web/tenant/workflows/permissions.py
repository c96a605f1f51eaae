"""Codes and routes of workflows and business rules.

Rules act as the system, so only who may do everything may write them by default.
"""

from __future__ import annotations

from web.shared.accounts.registry import permission, resource, route

VIEW = permission(
    "workflows.view",
    "See workflows and how far they are",
    all=["supervisor", "agent", "case_worker", "telephony_admin", "viewer"],
)
EDIT = permission("workflows.edit", "Change and publish workflows", all=["supervisor"])
DELETE = permission("workflows.delete", "Delete workflows")
RUN = permission(
    "workflows.run", "Start workflows and move them along", all=["supervisor", "agent", "case_worker"]
)
APPROVE = permission("workflows.approve", "Approve what waits for approval", all=["supervisor"])
SELF_APPROVE = permission("workflows.self_approve", "Approve what one asked for oneself")
MIGRATE = permission("workflows.migrate", "Move running workflows to another version", all=["supervisor"])
RULES_VIEW = permission("rules.view", "See business rules and their log", all=["supervisor"])
RULES_EDIT = permission("rules.edit", "Write business rules")

resource("workflows:workflow", view=VIEW, edit=EDIT, delete=DELETE)
route("workflows:workflow-check", POST=VIEW)
route("workflows:workflow-publish", POST=EDIT)
route("workflows:workflow-retire", POST=EDIT)
route("workflows:workflow-versions", GET=VIEW)

route("workflows:instance-list", GET=VIEW, POST=RUN)
route("workflows:instance-detail", GET=VIEW, PATCH=RUN)
route("workflows:instance-history", GET=VIEW)
route("workflows:instance-approvals", GET=VIEW)
route("workflows:instance-available", GET=VIEW)
route("workflows:instance-transition", POST=RUN)
# Whether somebody may approve this one is the transition's own rule; see running.py.
route("workflows:instance-approve", POST=VIEW)
route("workflows:instance-reject", POST=VIEW)
route("workflows:instance-cancel", POST=MIGRATE)
route("workflows:instance-migrate", POST=MIGRATE)

resource("workflows:rule", view=RULES_VIEW, edit=RULES_EDIT)
route("workflows:rule-dry-run", POST=RULES_VIEW)
route("workflows:rule-runs", GET=RULES_VIEW)
route("workflows:action-list", GET=RULES_VIEW)
route("workflows:action-run-list", GET=RULES_VIEW)
route("workflows:action-run-detail", GET=RULES_VIEW)
route("workflows:action-run-retry", POST=RULES_EDIT)
