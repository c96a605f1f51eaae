"""Whose affairs a person has in hand at this moment: what may reach further than the scope of their role.

A caller is given to whoever is free, not to whoever knows them. So an app that brings people together with
contacts (calls) says here which contacts somebody is dealing with right now, and an app that keeps contacts'
affairs (cases) lets that person see them, while it lasts. In `ready()`:

    at_hand.provider("calls", fn)      # fn(user_id) -> QuerySet of one column, ids of contacts

The querysets become parts of the query that narrows, so asking costs no query of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet

Provider = Callable[[uuid.UUID], QuerySet[Any, Any]]
providers: dict[str, Provider] = {}


def provider(name: str, contacts_of: Provider) -> None:
    """Register one; the same name twice is an error."""
    if name in providers:
        raise ValueError(f"the provider {name} is registered twice")
    providers[name] = contacts_of


def contacts_of(user_id: uuid.UUID | None) -> list[QuerySet[Any, Any]]:
    """The contacts whom this person deals with now, a queryset of ids from each app; none for nobody."""
    return [] if user_id is None else [one(user_id) for one in providers.values()]
