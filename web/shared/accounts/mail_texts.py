"""What the mails say, and the links in them.

A link's secret is made here, at the moment of sending, and stored as SHA-256; it stands behind the `#`, so
no server or proxy on the way writes it down. A row about somebody who is gone, or about nobody, makes no
mail.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone

from web.shared.accounts import one_time
from web.shared.accounts.mail import message_to
from web.shared.accounts.models import OneTimeToken, OutgoingMail, User
from web.shared.tenants.ids import PUBLIC
from web.shared.tenants.models import Domain, Tenant, TenantInvitation

RESET_LIFETIME = timedelta(hours=1)

TEXTS = {
    "en": {
        "invitation": (
            "You are invited to {organisation}",
            "You are invited to join {organisation} on Murima.\n\nOpen this link to accept:\n{link}\n\n"
            "It works until {until} (UTC). If you did not expect it, do nothing.",
        ),
        "password_reset": (
            "Set a new password",
            "Somebody, probably you, asked to set a new password for Murima.\n\nOpen this link:\n{link}\n\n"
            "It works once, until {until} (UTC). If it was not you, do nothing: nothing has changed.",
        ),
        "credentials_changed": (
            "Your way of signing in was changed",
            "The password or a second factor of your Murima account was changed just now.\n\n"
            "If it was not you, set a new password at once and tell your administrator:\n{link}",
        ),
    },
    "sw": {
        "invitation": (
            "Umealikwa {organisation}",
            "Umealikwa kujiunga na {organisation} kwenye Murima.\n\nFungua kiungo hiki kukubali:\n{link}\n\n"
            "Kinafanya kazi hadi {until} (UTC). Kama hukutarajia barua hii, usifanye lolote.",
        ),
        "password_reset": (
            "Weka nenosiri jipya",
            "Mtu, huenda ni wewe, ameomba kuweka nenosiri jipya la Murima.\n\nFungua kiungo hiki:\n{link}\n\n"
            "Kinafanya kazi mara moja, hadi {until} (UTC). Kama si wewe, usifanye lolote: "
            "hakuna kilichobadilika.",
        ),
        "credentials_changed": (
            "Njia yako ya kuingia imebadilishwa",
            "Nenosiri au njia ya pili ya uthibitisho ya akaunti yako ya Murima imebadilishwa sasa hivi.\n\n"
            "Kama si wewe, weka nenosiri jipya mara moja na umjulishe msimamizi wako:\n{link}",
        ),
    },
}


def compose(row: OutgoingMail) -> EmailMessage | None:
    """The message of an outbox row, with a fresh link; None when there is nobody to tell."""
    if row.kind == OutgoingMail.Kind.INVITATION:
        return _invitation(row)
    if row.user is None or not row.user.is_active:
        return None
    if row.kind == OutgoingMail.Kind.PASSWORD_RESET:
        return _password_reset(row, row.user)
    link = f"{origin_of(row.tenant_id)}/password-reset"
    return _say(row.kind, row.user.email, _language(row.user, row.tenant_id), link=link)


def origin_of(tenant_id: str) -> str:
    """`https://host` of a tenant, or of the platform: where links lead."""
    domain = Domain.objects.filter(tenant_id=tenant_id, is_primary=True).first()
    host = settings.PLATFORM_HOSTS[0] if tenant_id == PUBLIC or domain is None else domain.domain
    return f"{settings.LINK_SCHEME}://{host}{settings.LINK_PORT}"


def _invitation(row: OutgoingMail) -> EmailMessage | None:
    if row.object_id is None:
        return None
    invitation = (
        TenantInvitation.objects.select_related("tenant")
        .filter(pk=row.object_id, is_accepted=False, withdrawn_at=None, expires_at__gt=timezone.now())
        .first()
    )
    if invitation is None:
        return None
    secret = one_time.make("mri_")
    invitation.token_digest, invitation.sent_at = one_time.digest(secret), timezone.now()
    invitation.save(update_fields=["token_digest", "sent_at"])
    return _say(
        row.kind,
        invitation.email,
        invitation.tenant.language,
        link=f"{origin_of(row.tenant_id)}/invitation#{secret}",
        until=f"{invitation.expires_at:%Y-%m-%d %H:%M}",
        organisation=invitation.tenant.name,
    )


def _password_reset(row: OutgoingMail, user: User) -> EmailMessage:
    secret, until = one_time.make("mrp_"), timezone.now() + RESET_LIFETIME
    same = {"user": user, "tenant_id": row.tenant_id, "purpose": OneTimeToken.Purpose.PASSWORD_RESET}
    OneTimeToken.objects.filter(**same, used_at=None).delete()
    OneTimeToken.objects.create(**same, digest=one_time.digest(secret), expires_at=until)
    return _say(
        row.kind,
        user.email,
        _language(user, row.tenant_id),
        link=f"{origin_of(row.tenant_id)}/password-reset#{secret}",
        until=f"{until:%Y-%m-%d %H:%M}",
    )


def _say(kind: str, address: str, language: str, **values: str) -> EmailMessage:
    subject, text = TEXTS.get(language, TEXTS["en"])[kind]
    # An organisation's name is its own choice, and must not become a second header.
    plain = {name: " ".join(value.split()) for name, value in values.items()}
    return message_to(address, subject.format(**plain), text.format(**plain))


def _language(user: User, tenant_id: str) -> str:
    if user.language in TEXTS:
        return user.language
    tenant = Tenant.objects.filter(pk=tenant_id).first()
    return "en" if tenant is None else tenant.language
