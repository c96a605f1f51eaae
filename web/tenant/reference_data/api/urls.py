from django.urls import path

from web.shared.api.routers import Router
from web.tenant.reference_data.api import views

app_name = "reference_data"
router = Router()
router.register("case-categories", views.CaseCategoryViewSet, basename="case-category")
router.register("priorities", views.PriorityViewSet, basename="priority")
router.register("locations", views.LocationViewSet, basename="location")
router.register("categories", views.CategoryViewSet, basename="category")
router.register("items", views.ItemViewSet, basename="item")
urlpatterns = [
    path("case-categories/imports/", views.CaseCategoryImport.as_view(), name="case-category-imports"),
    path("case-categories/exports/", views.CaseCategoryExport.as_view(), name="case-category-exports"),
    path("locations/imports/", views.LocationImport.as_view(), name="location-imports"),
    path("locations/exports/", views.LocationExport.as_view(), name="location-exports"),
    path("items/imports/", views.ItemImport.as_view(), name="item-imports"),
    path("items/exports/", views.ItemExport.as_view(), name="item-exports"),
    *router.urls,
]
