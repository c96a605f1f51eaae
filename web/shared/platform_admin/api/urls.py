from django.urls import path

from web.shared.api.routers import Router
from web.shared.platform_admin.api import views

app_name = "platform"
router = Router()
router.register("tenants", views.TenantViewSet, basename="tenant")
router.register("users", views.UserViewSet, basename="user")
router.register("analytics/usage", views.UsageViewSet, basename="usage")
router.register("health/history", views.HealthHistoryViewSet, basename="health-history")
urlpatterns = [
    path("analytics/", views.AnalyticsView.as_view(), name="analytics"),
    path("health/", views.HealthView.as_view(), name="health"),
    *router.urls,
]
