from django.urls import path

from web.shared.api.routers import Router
from web.tenant.tasks.api import part_views as parts
from web.tenant.tasks.api.series_views import PreviewView, SeriesViewSet
from web.tenant.tasks.api.views import BulkAssignView, BulkCompleteView, TaskExport, TaskViewSet

app_name = "tasks"
series = Router()
series.register("series", SeriesViewSet, basename="series")
router = Router()
router.register(r"(?P<task>[^/]+)/comments", parts.CommentViewSet, basename="comment")
router.register(r"(?P<task>[^/]+)/dependencies", parts.DependencyViewSet, basename="dependency")
router.register(r"(?P<task>[^/]+)/reminders", parts.ReminderViewSet, basename="reminder")
router.register(r"(?P<task>[^/]+)/checklist", parts.ChecklistViewSet, basename="checklist")
router.register("", TaskViewSet, basename="task")
urlpatterns = [
    path("exports/", TaskExport.as_view(), name="exports"),
    path("bulk/assign/", BulkAssignView.as_view(), name="bulk-assign"),
    path("bulk/complete/", BulkCompleteView.as_view(), name="bulk-complete"),
    path("series/preview/", PreviewView.as_view(), name="series-preview"),
    *series.urls,
    *router.urls,
]
