from django.urls import path

from web.shared.api.routers import Router
from web.tenant.cases.api import part_views, settings_views
from web.tenant.cases.api.views import CaseExport, CaseViewSet

app_name = "cases"
router = Router()
# Names come before ids: "forms" is no case.
router.register("forms", settings_views.FormViewSet, basename="form")
router.register("sla-policies", settings_views.PolicyViewSet, basename="sla-policy")
router.register("calendars", settings_views.CalendarViewSet, basename="calendar")
router.register("views", settings_views.SavedViewSet, basename="view")
router.register("merges", part_views.MergeViewSet, basename="merge")
for _name, _basename, _view in (
    ("history", "history", part_views.HistoryViewSet),
    ("parties", "party", part_views.PartyViewSet),
    ("links", "link", part_views.LinkViewSet),
    ("watchers", "watcher", part_views.WatcherViewSet),
    ("notes", "note", part_views.NoteViewSet),
):
    router.register(rf"(?P<case_id>[^/]+)/{_name}", _view, basename=_basename)
router.register("", CaseViewSet, basename="case")
urlpatterns = [path("exports/", CaseExport.as_view(), name="exports"), *router.urls]
