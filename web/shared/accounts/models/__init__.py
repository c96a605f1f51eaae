"""The tables of identity, by what they are about."""

from web.shared.accounts.models.break_glass import BreakGlass
from web.shared.accounts.models.factors import Authenticator, RecoveryCode
from web.shared.accounts.models.federation import ExternalIdentity, IdentityProvider
from web.shared.accounts.models.people import (
    PlatformRole,
    Team,
    TeamMember,
    TenantMembership,
    TenantRole,
    User,
    UserManager,
    normalise_email,
)
from web.shared.accounts.models.proofs import (
    OneTimeToken,
    OutgoingMail,
    RefreshToken,
    Session,
    SessionManager,
    TokenFamily,
)

__all__ = [
    "Authenticator",
    "BreakGlass",
    "ExternalIdentity",
    "IdentityProvider",
    "OneTimeToken",
    "OutgoingMail",
    "PlatformRole",
    "RecoveryCode",
    "RefreshToken",
    "Session",
    "SessionManager",
    "Team",
    "TeamMember",
    "TenantMembership",
    "TenantRole",
    "TokenFamily",
    "User",
    "UserManager",
    "normalise_email",
]
