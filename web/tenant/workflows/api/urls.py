from django.urls import path

from web.shared.api.routers import Router
from web.tenant.workflows.api import rule_views, views

app_name = "workflows"
router = Router()
router.register("instances", views.InstanceViewSet, basename="instance")
router.register("rules", rule_views.RuleViewSet, basename="rule")
router.register("action-runs", rule_views.ActionRunViewSet, basename="action-run")
# Last: its ids would match every word above.
router.register("", views.WorkflowViewSet, basename="workflow")
urlpatterns = [
    path("actions/", rule_views.ActionListView.as_view(), name="action-list"),
    *router.urls,
]
