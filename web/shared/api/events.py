"""What becomes true of API keys."""

from __future__ import annotations

from web.shared.core.events import declare_resource

declare_resource("api_key", "API key")
