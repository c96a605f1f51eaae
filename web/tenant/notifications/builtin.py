"""What everybody is told without a rule: what concerns them personally.

An organisation's own rule for the same event comes first, with its own words; a person who does not want one
of these says so in their preferences.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from web.tenant.notifications.models import EscalationStep


@dataclass(frozen=True, slots=True)
class Builtin:
    """As much of a rule as consuming needs."""

    trigger_event: str
    recipients: tuple[str, ...]
    title: str
    template: str
    channels: tuple[str, ...] = ("in_app", "email")
    conditions: dict[str, object] = field(default_factory=dict)
    is_urgent: bool = False
    include_actor: bool = False
    pk: None = None

    @property
    def chain(self) -> list[EscalationStep]:
        return []


_ALL = (
    Builtin("task.assigned", ("assignee",), "A task for you", "{{ task.title }} ({{ task.priority }})"),
    Builtin(
        "task.overdue",
        ("assignee",),
        "A task is overdue",
        "{{ task.title }} was due {{ task.due_date }}.",
    ),
    Builtin(
        "task.reminder",
        ("recipient",),
        "Reminder",
        "{{ task.title }}",
        include_actor=True,
    ),
    Builtin("task.commented", ("mentioned",), "You were mentioned", "In a comment on: {{ task.title }}"),
    Builtin(
        "case.assigned",
        ("assignee",),
        "A case for you",
        "{{ case.number }} {{ case.title }} ({{ case.priority }})",
    ),
    Builtin(
        "case.note_added",
        ("mentioned",),
        "You were mentioned",
        "In a note on {{ case.number }} {{ case.title }}",
    ),
    Builtin(
        "sla.breached",
        ("assignee",),
        "A case is out of time",
        "{{ case.number }} {{ case.title }}",
    ),
    Builtin(
        "sla.escalated",
        ("recipient",),
        "A case needs you",
        "{{ case.number }} {{ case.title }}",
    ),
    Builtin("conversation.assigned", ("assignee",), "A conversation for you", "{{ conversation.title }}"),
    Builtin("document.shared", ("recipient",), "A document was shared with you", "{{ document.title }}"),
    Builtin(
        "breakglass.opened",
        ("admin",),
        "The platform opened this organisation's data",
        "Somebody of the platform looks at data here; the audit trail says who and why.",
        is_urgent=True,
        include_actor=True,
    ),
)


def of(trigger: str) -> list[Builtin]:
    return [one for one in _ALL if one.trigger_event == trigger]
