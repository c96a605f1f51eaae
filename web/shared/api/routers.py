"""The router of every app: trailing slashes, ids as paths, no index page.

An app's `api/urls.py`:

    app_name = "contacts"
    router = Router()
    router.register("", ContactViewSet, basename="contact")     # contacts:contact-list, contacts:contact-detail
    urlpatterns = router.urls
"""

from __future__ import annotations

from rest_framework.routers import SimpleRouter


class Router(SimpleRouter):
    def __init__(self) -> None:
        super().__init__(trailing_slash=True)

    def get_urls(self) -> list[object]:  # type: ignore[override]
        # SimpleRouter puts "^/$" for an empty prefix; the surface has /api/v1/calls/ itself.
        for prefix, _, _ in self.registry:
            if prefix == "":
                return list(self._without_leading_slash())
        return list(super().get_urls())

    def _without_leading_slash(self) -> list[object]:
        from django.urls import re_path

        found = []
        for pattern in super().get_urls():
            text = str(pattern.pattern)
            found.append(re_path(text.replace("^/", "^", 1), pattern.callback, name=pattern.name))
        return found
