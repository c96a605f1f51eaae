"""What every host answers beside its own API: the OpenAPI description and its bundled documentation."""

from __future__ import annotations

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

from web.shared.accounts.api.views import KeysView
from web.shared.api.views import DocsView, SchemaView, error_docs

# The sockets' own description, when realtime brings one (realtime/urls.py: /api/asyncapi/).
_SOCKETS = "realtime.urls"

documentation: list[URLPattern | URLResolver] = [
    path(".well-known/jwks.json", KeysView.as_view(), name="jwks"),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/docs/", DocsView.as_view(url_name="schema"), name="docs"),
    path("api/docs/errors/", error_docs, name="error-docs"),
    *([path("", include(_SOCKETS))] if find_spec(_SOCKETS) else []),
]
