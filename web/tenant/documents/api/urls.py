from django.urls import path

from web.shared.api.routers import Router
from web.tenant.documents.api import views

app_name = "documents"
router = Router()
router.register("", views.DocumentViewSet, basename="document")

_access_list = views.AccessViewSet.as_view({"get": "list", "post": "create"})
_access_detail = views.AccessViewSet.as_view(
    {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
)
urlpatterns = [
    path("files/<str:token>/", views.LinkView.as_view(), name="link"),
    path("<str:document>/access/", _access_list, name="access-list"),
    path("<str:document>/access/<str:pk>/", _access_detail, name="access-detail"),
    *router.urls,
]
