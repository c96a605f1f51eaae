"""What every host answers beside its own API: the OpenAPI description and its bundled documentation."""

from __future__ import annotations

from django.urls import path

from web.shared.api.views import DocsScriptView, DocsView, SchemaView, error_docs

documentation = [
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/docs/", DocsView.as_view(url_name="schema"), name="docs"),
    path("api/docs/script/", DocsScriptView.as_view(url_name="schema"), name="docs-script"),
    path("api/docs/errors/", error_docs, name="error-docs"),
]
