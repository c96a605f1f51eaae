from django.urls import path

from web.shared.core.api.job_views import JobFileView, JobViewSet

app_name = "jobs"
urlpatterns = [
    path("", JobViewSet.as_view({"get": "list"}), name="job-list"),
    path("files/<str:token>/", JobFileView.as_view(), name="job-file"),
    path("<str:pk>/", JobViewSet.as_view({"get": "retrieve", "delete": "destroy"}), name="job-detail"),
    path("<str:pk>/result/", JobViewSet.as_view({"get": "result"}), name="job-result"),
    path("<str:pk>/errors/", JobViewSet.as_view({"get": "errors"}), name="job-errors"),
]
