"""Django's own admin, for the platform's administrators, over shared tables alone.

It exists on the platform's host; a tenant's host answers 404. Nothing of a tenant's schema is registered, and
could not be read here: the request runs in `public`. Histories and what other code keeps are shown and not
changed, nothing is ever deleted, and what may be changed is audited like everything else. The sign-in form is
the product's own check (throttled, audited counts); whoever has a second factor signs in at the application
first, because this form cannot ask for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import ValidationError
from django.db import models
from django.http import Http404, HttpRequest

from web.shared.accounts.factors import policy
from web.shared.accounts.middleware import tenant_key
from web.shared.accounts.session_store import SIGNED_IN_AT, TENANT_KEY
from web.shared.accounts.sign_in import password_check
from web.shared.api.problems import Problem
from web.shared.core import audit
from web.shared.core.actor import Actor, ActorKind
from web.shared.core.net import client_address
from web.shared.tenants.ids import PUBLIC


class SignInForm(AdminAuthenticationForm):
    """E-mail and password, checked where every sign-in is."""

    def clean(self) -> dict[str, Any]:
        given = {name: self.cleaned_data.get(name) or "" for name in ("username", "password")}
        try:
            user = password_check(
                self.request, email=given["username"], password=given["password"],
                tenant_id=PUBLIC, address=client_address(cast(HttpRequest, self.request)),
            )  # fmt: skip
        except Problem as refused:
            raise ValidationError(refused.title, code=refused.code) from None
        if policy.has_factor(user) or policy.is_required(user, None):
            raise ValidationError(
                "You use a second factor, or must: sign in to the application, then open this again."
            )
        self.confirm_login_allowed(user)
        self.user_cache = user
        return self.cleaned_data


def _bind_to_host(sender: Any, request: Any, **_: Any) -> None:
    """A session made by the admin's form is this host's, like every other."""
    from django.utils import timezone

    request.session.setdefault(TENANT_KEY, tenant_key(request))
    request.session.setdefault(SIGNED_IN_AT, timezone.now().isoformat())


if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = admin.ModelAdmin


class Shown(_Admin):
    """To look at."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Changed(Shown):
    """To change, within `fields`; each save is in the platform's audit trail."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_staff", False))

    def save_model(
        self, request: HttpRequest, obj: models.Model, form: forms.ModelForm[Any], change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        actor = Actor(
            ActorKind.PLATFORM,
            id=request.user.pk,
            process="admin",
            request_id=getattr(request, "request_id", ""),
            ip_address=client_address(request),
        )
        changes = audit.changed_fields(form.changed_data)
        audit.record(actor=actor, action="update", obj=obj, changes=changes)


class TenantAdmin(Changed):
    list_display = ("schema_name", "name", "status", "sector", "subscription_plan", "created_at")
    list_filter = ("status", "subscription_plan", "sector")
    search_fields = ("schema_name", "name", "domains__domain")
    # Suspending has consequences outside the row: it is done through the API.
    readonly_fields = ("schema_name", "status", "suspended_at", "settings", "created_at", "updated_at")
    fields = (
        "schema_name", "name", "status", "suspended_at", "sector", "subscription_plan", "region", "time_zone",
        "language", "settings", "created_at", "updated_at",
    )  # fmt: skip


class UserAdmin(Shown):
    list_display = ("id", "email", "name", "is_active", "is_platform_admin", "last_login")
    list_filter = ("is_active", "is_platform_admin")
    search_fields = ("email", "name")
    fields = ("id", "email", "name", "language", "is_active", "is_platform_admin", "last_login", "created_at")


# Model → how, and the columns of its list.
SHOWN: dict[str, tuple[str, ...]] = {
    "tenants.Domain": ("domain", "tenant", "is_primary"),
    "tenants.InboundNumber": ("tenant", "trunk", "is_active", "created_at"),
    "tenants.TenantQuota": ("tenant", "kind", "limit", "updated_at"),
    "tenants.ProvisioningStep": ("tenant", "name", "done_at"),
    "tenants.ErasureRecord": ("tenant", "kind", "object_id", "at"),
    "accounts.TenantRole": ("tenant", "name", "is_system_role", "is_active"),
    "accounts.TenantMembership": ("tenant", "user", "role", "is_active", "joined_at"),
    "accounts.PlatformRole": ("user", "role", "created_at"),
    "platform.SystemHealth": ("component", "status", "checked_at"),
    "platform.TenantUsage": ("tenant", "date", "active_users", "api_requests", "calls", "cases_created"),
    "core.PlatformAuditEvent": ("at", "action", "object_type", "object_id", "actor_kind", "actor_id"),
}


def _not_here(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
    """A password is changed through the API, which ends what the old one had opened."""
    raise Http404


def register(site: admin.AdminSite) -> None:
    """Everything above on `site`, which then asks with our form."""
    site.login_form = SignInForm
    site.password_change = _not_here  # type: ignore[method-assign]
    site.site_header = site.site_title = "Murima platform"
    # Django's own groups mean nothing here: rights come from PlatformRole.
    if site.is_registered(apps.get_model("auth.Group")):
        site.unregister(apps.get_model("auth.Group"))
    site.register(apps.get_model("tenants.Tenant"), TenantAdmin)
    site.register(apps.get_model("accounts.User"), UserAdmin)
    for label, columns in SHOWN.items():
        model = apps.get_model(label)
        hidden = {
            field.name for field in model._meta.concrete_fields if isinstance(field, models.BinaryField)
        }
        names = [field.name for field in model._meta.concrete_fields if field.name not in hidden]
        site.register(
            model, type(f"{model.__name__}Admin", (Shown,), {"list_display": columns, "fields": names})
        )
    user_logged_in.connect(_bind_to_host, dispatch_uid="murima.admin.session")


register(admin.site)
