from web.shared.api.routers import Router
from web.tenant.communications.api.views import (
    ChannelViewSet,
    ConversationViewSet,
    InteractionViewSet,
    TemplateViewSet,
)

app_name = "communications"
router = Router()
router.register("channels", ChannelViewSet, basename="channel")
router.register("conversations", ConversationViewSet, basename="conversation")
router.register("interactions", InteractionViewSet, basename="interaction")
router.register("templates", TemplateViewSet, basename="template")
urlpatterns = router.urls
