"""Domain events of what every tenant has."""

from __future__ import annotations

from web.shared.core.events import declare, declare_resource

declare_resource("webhook", "Webhook", is_active=bool)
declare("webhook.disabled", "A webhook was switched off by us", because=str)
declare("webhook.tested", "Somebody asked for a test of a webhook")
declare("job.finished", "A job came to its end", kind=str, state=str)
