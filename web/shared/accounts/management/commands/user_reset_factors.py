"""`user_reset_factors <email>` removes every second factor of somebody who lost them all."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from web.shared.accounts import mail
from web.shared.accounts.models import OutgoingMail, User, normalise_email
from web.shared.accounts.services import factors_reset
from web.shared.core.actor import system
from web.shared.core.exits import Code, Exit
from web.shared.tenants.context import public_context
from web.shared.tenants.ids import PUBLIC


class Command(BaseCommand):
    help = "Remove all second factors of a person, and end their sign-ins. They are told by mail."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        with public_context():
            user = User.objects.filter(email=normalise_email(options["email"])).first()
            if user is None:
                raise Exit("Nobody has this address.", code=Code.NOT_FOUND)
            factors_reset(actor=system("user_reset_factors"), user=user)
            mail.put(OutgoingMail.Kind.CREDENTIALS_CHANGED, tenant_id=PUBLIC, user=user)
        self.stdout.write("Done. They sign in with their password and set up new factors.")
