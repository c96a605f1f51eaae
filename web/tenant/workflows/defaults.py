"""The workflow that a new organisation finds: a case's usual way, as a draft to adapt and publish."""

from __future__ import annotations

from typing import Any

NAME = "Case handling"
VALUES: dict[str, Any] = {
    "name": NAME,
    "description": "Take in, assess, serve, close with a second pair of eyes. Adapt it, then publish it.",
    "entity_type": "case",
    "stages": [
        {"name": "intake", "label": "Intake", "initial": True, "time_limit_minutes": 24 * 60},
        {"name": "assessment", "label": "Assessment", "time_limit_minutes": 5 * 24 * 60},
        {"name": "service", "label": "Service"},
        {"name": "closed", "label": "Closed", "final": True},
    ],
    "transitions": [
        {"name": "assess", "label": "Begin the assessment", "from": ["intake"], "to": "assessment"},
        {"name": "serve", "label": "Begin the service", "from": ["assessment"], "to": "service"},
        {
            "name": "close",
            "label": "Close",
            "from": ["assessment", "service"],
            "to": "closed",
            "reason_required": True,
            "approval": {"approvers": 1},
        },
        {"name": "dismiss", "label": "No case", "from": ["intake"], "to": "closed", "reason_required": True},
        {
            "name": "reopen",
            "label": "Reopen",
            "from": ["closed"],
            "to": "assessment",
            "reason_required": True,
        },
    ],
    "actions": [],
}
