"""A tenant's host: the API, its description, and the browser application for every other path.

Each app's `api/urls.py` brings `app_name` and `urlpatterns`; an app joins by one line in API.
"""

from __future__ import annotations

from importlib.util import find_spec

from django.urls import include, path, re_path

from config.urls_shared import documentation
from web.shared.api.views import api_not_found, browser_application

# URL prefix → URL module; an app that is not there yet is left out, so that each can land by itself.
API = {
    "auth": "web.shared.accounts.api.urls",
    "organization": "web.shared.tenants.api.urls",
    "api-keys": "web.shared.api.api.key_urls",
    "webhooks": "web.shared.core.api.webhook_urls",
    "events": "web.shared.core.api.event_urls",
    "jobs": "web.shared.core.api.job_urls",
    "audit": "web.shared.core.api.audit_urls",
    "contacts": "web.tenant.contacts.api.urls",
    "cases": "web.tenant.cases.api.urls",
    "communications": "web.tenant.communications.api.urls",
    "calls": "web.tenant.calls.api.urls",
    "workflows": "web.tenant.workflows.api.urls",
    "reference-data": "web.tenant.reference_data.api.urls",
    "documents": "web.tenant.documents.api.urls",
    "tasks": "web.tenant.tasks.api.urls",
    "notifications": "web.tenant.notifications.api.urls",
}


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


urlpatterns = [
    *[path(f"api/v1/{prefix}/", include(module)) for prefix, module in API.items() if _exists(module)],
    *documentation,
    re_path(r"^api(?:/.*)?$", api_not_found, name="api-not-found"),
    re_path(r"^(?!static/|ws/).*$", browser_application, name="app"),
]

handler500 = "web.shared.api.errors.server_error"
