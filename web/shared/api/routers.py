"""The router of every app: trailing slashes, ids as paths, no index page.

An app's `api/urls.py`:

    app_name = "contacts"
    router = Router()
    router.register("", ContactViewSet, basename="contact")   # contacts:contact-list and -detail
    urlpatterns = router.urls
"""

from __future__ import annotations

import re
from typing import Any

from django.urls import re_path
from rest_framework.routers import SimpleRouter


class Router(SimpleRouter):
    def __init__(self) -> None:
        super().__init__(trailing_slash=True)

    def get_urls(self) -> list[Any]:
        """SimpleRouter's patterns; an empty prefix gives "^$", since /api/v1/calls/ has its slash already."""
        found: list[Any] = list(super().get_urls())
        if all(prefix for prefix, _, _ in self.registry):
            return found
        return [
            re_path(re.sub(r"\A\^/", "^", str(one.pattern)), one.callback, name=one.name) for one in found
        ]
