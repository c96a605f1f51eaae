from django.urls import path

from web.shared.api.routers import Router
from web.tenant.contacts.api.link_views import (
    ContactExport,
    ContactImport,
    FieldSchemaView,
    GroupViewSet,
    MergeViewSet,
    RelationshipViewSet,
)
from web.tenant.contacts.api.views import ContactViewSet

app_name = "contacts"
router = Router()
# Before the contacts themselves, whose ids may be any text in the path.
router.register("groups", GroupViewSet, basename="group")
router.register("relationships", RelationshipViewSet, basename="relationship")
router.register("merges", MergeViewSet, basename="merge")
router.register("", ContactViewSet, basename="contact")
urlpatterns = [
    path("imports/", ContactImport.as_view(), name="imports"),
    path("exports/", ContactExport.as_view(), name="exports"),
    path("field-schema/", FieldSchemaView.as_view(), name="field-schema"),
    *router.urls,
]
