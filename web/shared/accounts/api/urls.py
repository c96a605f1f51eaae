from django.urls import path

from web.shared.accounts.api import account_views as account
from web.shared.accounts.api import oidc_views as oidc
from web.shared.accounts.api import people_views as people
from web.shared.accounts.api import sign_in_views as sign_in
from web.shared.accounts.api import views
from web.shared.accounts.api.break_glass_views import TenantDoorViewSet
from web.shared.api.routers import Router

app_name = "auth"
router = Router()
router.register("users", people.UserViewSet, basename="user")
router.register("roles", people.RoleViewSet, basename="role")
router.register("teams", people.TeamViewSet, basename="team")
router.register("break-glass", TenantDoorViewSet, basename="break-glass")
router.register("identity-providers", oidc.ProviderViewSet, basename="identity-provider")
router.register("invitations", people.InvitationViewSet, basename="invitation")
urlpatterns = [
    path("session/", sign_in.SessionView.as_view(), name="session"),
    path("session/mfa/", sign_in.SecondStepView.as_view(), name="session-mfa"),
    path("session/mfa/passkey/", sign_in.SecondStepPasskeyView.as_view(), name="session-mfa-passkey"),
    path("session/passkey/", sign_in.PasskeyView.as_view(), name="session-passkey"),
    path("session/passkey/begin/", sign_in.PasskeyBeginView.as_view(), name="session-passkey-begin"),
    path("session/break-glass/", sign_in.BreakGlassEntryView.as_view(), name="session-break-glass"),
    path("sessions/", account.SignInsView.as_view(), name="sessions"),
    path("sessions/<uuid:sign_in>/", account.SignInView.as_view(), name="sessions-one"),
    path("token/", sign_in.TokenView.as_view(), name="token"),
    path("password/", account.PasswordView.as_view(), name="password"),
    path("password/reset/", account.PasswordResetView.as_view(), name="password-reset"),
    path(
        "password/reset/confirm/", account.PasswordResetConfirmView.as_view(), name="password-reset-confirm"
    ),
    path("mfa/", account.MfaView.as_view(), name="mfa"),
    path("mfa/totp/", account.TotpView.as_view(), name="mfa-totp"),
    path("mfa/totp/confirm/", account.TotpConfirmView.as_view(), name="mfa-totp-confirm"),
    path("mfa/recovery-codes/", account.RecoveryCodesView.as_view(), name="mfa-recovery"),
    path("mfa/passkeys/", account.PasskeysView.as_view(), name="mfa-passkeys"),
    path("mfa/passkeys/begin/", account.PasskeyBeginView.as_view(), name="mfa-passkey-begin"),
    path("mfa/passkeys/<uuid:passkey>/", account.PasskeyDetailView.as_view(), name="mfa-passkey"),
    path("mfa/policy/", account.PolicyView.as_view(), name="mfa-policy"),
    path("me/", views.MeView.as_view(), name="me"),
    path("tickets/", views.TicketView.as_view(), name="tickets"),
    path("permissions/", people.PermissionsView.as_view(), name="permissions"),
    path("invitations/preview/", people.InvitationPreviewView.as_view(), name="invitation-preview"),
    path("invitations/accept/", people.InvitationAcceptView.as_view(), name="invitation-accept"),
    path("oidc/", oidc.ChoicesView.as_view(), name="oidc"),
    path("oidc/<slug:provider>/start/", oidc.StartView.as_view(), name="oidc-start"),
    path("oidc/<slug:provider>/callback/", oidc.CallbackView.as_view(), name="oidc-callback"),
    *router.urls,
]
