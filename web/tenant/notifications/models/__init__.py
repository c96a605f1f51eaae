"""Rules, what they made, how it is delivered, and what each person wants of it."""

from web.tenant.notifications.models.notification import Notification, NotificationDelivery
from web.tenant.notifications.models.preference import NotificationPreference
from web.tenant.notifications.models.rule import Escalation, EscalationStep, NotificationRule

__all__ = [
    "Escalation",
    "EscalationStep",
    "Notification",
    "NotificationDelivery",
    "NotificationPreference",
    "NotificationRule",
]
