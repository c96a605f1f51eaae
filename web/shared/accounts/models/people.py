"""People, and what they may do where.

A User is one person on the whole platform, known by e-mail, deactivated but never deleted (rows in every
tenant point at them). A TenantMembership says in which tenant and with which TenantRole. Roles start as
copies of the defaults in `roles.py`; from then on they are the tenant's to change. `revision` is what
If-Match compares.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from web.shared.accounts.registry import Scope
from web.shared.core.ids import uuid7
from web.shared.core.models import RevisionedModel


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=normalise_email(username or ""))

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> User:
        """A person; without a password they cannot sign in until they set one."""
        user = self.model(email=normalise_email(email), **extra)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> User:
        """Somebody who runs the platform, with every right there is on it."""
        user = self.create_user(email, password, is_platform_admin=True, **extra)
        PlatformRole.objects.create(user=user, role=PlatformRole.Role.SUPER_ADMIN)
        return user


def normalise_email(email: str) -> str:
    """E-mail addresses are compared, and stored, in lower case."""
    return email.strip().lower()


class User(AbstractBaseUser):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150, blank=True)
    phone = models.CharField(max_length=20, blank=True)
    language = models.CharField(max_length=10, blank=True)
    is_active = models.BooleanField(default=True)
    is_platform_admin = models.BooleanField(default=False)
    deactivated_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Tokens and sessions issued before this moment are dead.
    credentials_changed_at = models.DateTimeField(default=timezone.now, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="one_user_per_email")]

    def __str__(self) -> str:
        return f"user {self.pk}"

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("Users are deactivated (accounts.services.user_deactivate), never deleted.")

    # What Django's admin asks; it exists on the platform's host only.
    @property
    def is_staff(self) -> bool:
        return self.is_active and self.is_platform_admin

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return self.is_staff

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_staff


class Revisioned(RevisionedModel):
    """The columns came later than the tables, so the database fills them for the last release's writers."""

    revision = models.PositiveIntegerField(default=1, db_default=1, editable=False)

    class Meta:
        abstract = True


class TenantRole(Revisioned):
    """A role of one tenant: permission code → scope ("own", "team" or "all"). A code not named is refused."""

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="roles")
    name = models.CharField(max_length=50)
    display_name = models.CharField(max_length=100)
    permissions = models.JSONField(default=dict)
    is_system_role = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="one_role_per_name")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.name}"


class TenantMembership(Revisioned):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="memberships")
    role = models.ForeignKey(TenantRole, on_delete=models.PROTECT, related_name="memberships")
    is_active = models.BooleanField(default=True)
    joined_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True, null=True)
    invited_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "tenant"], name="one_membership_per_tenant")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.user_id}"

    @property
    def permissions(self) -> dict[str, Scope]:
        """Code → scope, as this tenant's role grants them now."""
        if not (self.is_active and self.role.is_active):
            return {}
        return {code: Scope(scope) for code, scope in self.role.permissions.items()}


class Team(Revisioned):
    """People who work together: what the scope TEAM of a permission reaches."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="teams")
    name = models.CharField(max_length=100)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="one_team_per_name")]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.pk}"


class TeamMember(models.Model):
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="in_a_team_once")]

    def __str__(self) -> str:
        return f"{self.team_id} {self.user_id}"


class PlatformRole(models.Model):
    """What somebody may do on the platform's own host: the role's codes and those in `permissions`."""

    class Role(models.TextChoices):
        SUPER_ADMIN = "super_admin", "Super admin"
        ADMIN = "admin", "Admin"
        SUPPORT = "support", "Support"

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="platform_roles")
    role = models.CharField(max_length=50, choices=Role.choices)
    permissions = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "role"], name="one_platform_role_each")]

    def __str__(self) -> str:
        return f"{self.role} {self.user_id}"
