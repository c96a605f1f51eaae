"""The platform's own host: sign-in, the platform's API, Django's admin, documentation."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path

from config.urls_shared import documentation
from web.shared.api.views import api_not_found, browser_application

urlpatterns = [
    path("api/v1/auth/", include("web.shared.accounts.api.urls")),
    path("api/platform/", include("web.shared.accounts.api.platform_urls")),
    path("api/platform/", include("web.shared.platform_admin.api.urls")),
    path("admin/", admin.site.urls),
    *documentation,
    re_path(r"^api(?:/.*)?$", api_not_found, name="api-not-found"),
    re_path(r"^(?!static/|ws/).*$", browser_application, name="app"),
]

handler500 = "web.shared.api.errors.server_error"
