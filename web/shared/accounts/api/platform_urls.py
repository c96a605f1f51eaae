from web.shared.accounts.api.break_glass_views import PlatformDoorViewSet
from web.shared.api.routers import Router

app_name = "platform-accounts"
router = Router()
router.register("break-glass", PlatformDoorViewSet, basename="break-glass")
urlpatterns = router.urls
