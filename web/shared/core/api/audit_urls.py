from web.shared.api.routers import Router
from web.shared.core.api.audit_views import AuditEventViewSet

app_name = "audit"
router = Router()
router.register("", AuditEventViewSet, basename="event")
urlpatterns = router.urls
