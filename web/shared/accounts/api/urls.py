from django.urls import path

from web.shared.accounts.api import people_views as people
from web.shared.accounts.api import views
from web.shared.api.routers import Router

app_name = "auth"
router = Router()
router.register("users", people.UserViewSet, basename="user")
router.register("roles", people.RoleViewSet, basename="role")
router.register("teams", people.TeamViewSet, basename="team")
router.register("invitations", people.InvitationViewSet, basename="invitation")
urlpatterns = [
    path("session/", views.SessionView.as_view(), name="session"),
    path("token/", views.TokenView.as_view(), name="token"),
    path("me/", views.MeView.as_view(), name="me"),
    path("tickets/", views.TicketView.as_view(), name="tickets"),
    path("permissions/", people.PermissionsView.as_view(), name="permissions"),
    path("invitations/preview/", people.InvitationPreviewView.as_view(), name="invitation-preview"),
    path("invitations/accept/", people.InvitationAcceptView.as_view(), name="invitation-accept"),
    *router.urls,
]
