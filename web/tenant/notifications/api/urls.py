from django.urls import path

from web.shared.api.routers import Router
from web.tenant.notifications.api.rule_views import RuleViewSet, TriggersView
from web.tenant.notifications.api.views import (
    NotificationViewSet,
    PreferencesView,
    ReadAllView,
    UnreadView,
)

app_name = "notifications"
rules = Router()
rules.register("rules", RuleViewSet, basename="rule")
router = Router()
router.register("", NotificationViewSet, basename="notification")
urlpatterns = [
    path("read-all/", ReadAllView.as_view(), name="read-all"),
    path("unread/", UnreadView.as_view(), name="unread"),
    path("preferences/", PreferencesView.as_view(), name="preferences"),
    path("triggers/", TriggersView.as_view(), name="triggers"),
    *rules.urls,
    *router.urls,
]
