"""What somebody may see later, when their request is over: a job that runs, a link that is opened.

Whoever started it is known by an id: a person's or an API key's. Their rights are read anew; somebody who
left, or a key that was revoked, sees nothing.
"""

from __future__ import annotations

import uuid

from web.shared.accounts.models import User
from web.shared.accounts.queries import membership_of
from web.shared.api.keys import KeyPrincipal
from web.shared.api.models import APIKey
from web.shared.core.viewer import Viewer, viewer_of


def viewer_now(tenant_id: str, holder: uuid.UUID | None) -> Viewer | None:
    """The viewer that this person or key is in the tenant today; None for nobody, or no longer somebody."""
    if holder is None:
        return None
    user = User.objects.filter(pk=holder).first()
    if user is not None:
        membership = membership_of(user, tenant_id)
        return None if membership is None else viewer_of(membership)
    key = APIKey.objects.filter(pk=holder, tenant_id=tenant_id).first()
    return KeyPrincipal(key).viewer if key is not None and key.is_usable else None
