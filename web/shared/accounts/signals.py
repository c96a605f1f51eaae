"""Said after sign-ins end, for whoever keeps a line open to them: `tenant_id`, `user_id`.

Deleted sessions say it by themselves (post_delete); token families are revoked in one statement, which does
not.
"""

from django.dispatch import Signal

tokens_revoked = Signal()
