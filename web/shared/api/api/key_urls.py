from web.shared.api.api.key_views import KeyViewSet
from web.shared.api.routers import Router

app_name = "api-keys"
router = Router()
router.register("", KeyViewSet, basename="key")
urlpatterns = router.urls
