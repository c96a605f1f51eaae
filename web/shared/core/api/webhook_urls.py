from typing import Any

from django.urls import path

from web.shared.core.api.webhook_views import DeliveryViewSet, WebhookViewSet

app_name = "webhooks"
_DETAIL: dict[str, Any] = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
_DELIVERIES = "<str:webhook>/deliveries/"
urlpatterns = [
    path("", WebhookViewSet.as_view({"get": "list", "post": "create"}), name="webhook-list"),
    path("<str:pk>/", WebhookViewSet.as_view(_DETAIL), name="webhook-detail"),
    path("<str:pk>/test/", WebhookViewSet.as_view({"post": "test"}), name="webhook-test"),
    path(
        "<str:pk>/rotate-secret/",
        WebhookViewSet.as_view({"post": "rotate_secret"}),
        name="webhook-rotate-secret",
    ),
    path(_DELIVERIES, DeliveryViewSet.as_view({"get": "list"}), name="delivery-list"),
    path(f"{_DELIVERIES}<str:pk>/", DeliveryViewSet.as_view({"get": "retrieve"}), name="delivery-detail"),
    path(
        f"{_DELIVERIES}<str:pk>/replay/",
        DeliveryViewSet.as_view({"post": "replay"}),
        name="delivery-replay",
    ),
]
