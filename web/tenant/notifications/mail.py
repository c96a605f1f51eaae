"""Notifications by e-mail: plain text, through Django's e-mail backend, with a deadline.

Nothing in a mail is HTML and its subject is one clean line, so nothing a caller or client typed can become
markup or a header. The Message-ID is the delivery's: when a mail is sent twice because a worker died
between sending and noting it, the reader's program can tell.
"""

from __future__ import annotations

import smtplib
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from web.tenant.notifications.delivery import Letter, Undeliverable
from web.tenant.notifications.rendering import clean

SMTP_SECONDS = 10
"""For connecting and for each answer of the server."""


def send(letter: Letter) -> None:
    """Send one mail. Raises Undeliverable; what the server said is not repeated, it may name the person."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    message = EmailMessage(
        subject=subject(letter),
        body=body(letter),
        to=[letter.user.email],
        headers={
            "Message-ID": f"<{letter.id}@{domain}>",
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
        },
    )
    try:
        message.connection = get_connection(timeout=SMTP_SECONDS)
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        answers = [code for code, _ in error.recipients.values()]
        raise Undeliverable("recipient_refused", final=all(code >= 500 for code in answers)) from error
    except smtplib.SMTPAuthenticationError as error:
        raise Undeliverable("not_authenticated", final=False) from error
    except smtplib.SMTPResponseException as error:
        raise Undeliverable("refused", final=error.smtp_code >= 500) from error
    except (smtplib.SMTPException, OSError) as error:
        raise Undeliverable("no_connection", final=False) from error


def subject(letter: Letter) -> str:
    if letter.is_digest:
        many = len(letter.notifications)
        said = "1 notification" if many == 1 else f"{many} notifications"
        return clean(f"{said} from {letter.organisation.name}")
    return clean(f"{letter.notifications[0].title} ({letter.organisation.name})")


def body(letter: Letter) -> str:
    parts = [
        f"{row.title}\n{row.message}" if letter.is_digest else row.message or row.title
        for row in letter.notifications
    ]
    return "\n\n".join(parts) + f"\n\n-- \n{clean(letter.organisation.name)}\n"
