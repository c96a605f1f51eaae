from django.urls import path

from web.shared.core.api.event_views import EventFeedView, EventTypesView

app_name = "events"
urlpatterns = [
    path("", EventFeedView.as_view(), name="event-list"),
    path("types/", EventTypesView.as_view(), name="event-types"),
]
