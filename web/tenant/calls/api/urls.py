from django.urls import path

from web.shared.api.routers import Router
from web.tenant.calls.api import routing_views, views

app_name = "calls"
router = Router()
router.register("dispositions", views.DispositionViewSet, basename="disposition")
router.register("not-ready-reasons", views.ReasonViewSet, basename="reason")
router.register("queues", routing_views.QueueViewSet, basename="queue")
router.register("skills", routing_views.SkillViewSet, basename="skill")
router.register("agent-skills", routing_views.AgentSkillViewSet, basename="agent-skill")
router.register("numbers", routing_views.NumberViewSet, basename="number")
router.register("devices", routing_views.DeviceViewSet, basename="device")
# Last: its ids would match every word above.
router.register("", views.CallViewSet, basename="call")

_member_list = routing_views.MemberViewSet.as_view({"get": "list", "post": "create"})
_member_detail = routing_views.MemberViewSet.as_view(
    {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
)
urlpatterns = [
    path("exports/", views.CallExport.as_view(), name="exports"),
    path("queues/<str:queue>/members/", _member_list, name="member-list"),
    path("queues/<str:queue>/members/<str:pk>/", _member_detail, name="member-detail"),
    *router.urls,
]
