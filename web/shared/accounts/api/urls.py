from django.urls import path

from web.shared.accounts.api import views

app_name = "auth"
urlpatterns = [
    path("session/", views.SessionView.as_view(), name="session"),
    path("token/", views.TokenView.as_view(), name="token"),
    path("me/", views.MeView.as_view(), name="me"),
    path("tickets/", views.TicketView.as_view(), name="tickets"),
]
