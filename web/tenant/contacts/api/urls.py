from web.shared.api.routers import Router
from web.tenant.contacts.api.views import ContactViewSet

app_name = "contacts"
router = Router()
router.register("", ContactViewSet, basename="contact")
urlpatterns = router.urls
