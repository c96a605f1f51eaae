from web.shared.api.routers import Router
from web.tenant.reference_data.api import views

app_name = "reference_data"
router = Router()
router.register("case-categories", views.CaseCategoryViewSet, basename="case-category")
router.register("priorities", views.PriorityViewSet, basename="priority")
router.register("locations", views.LocationViewSet, basename="location")
router.register("categories", views.CategoryViewSet, basename="category")
router.register("items", views.ItemViewSet, basename="item")
urlpatterns = router.urls
