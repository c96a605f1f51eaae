"""Watchers: people who see a case and are told of it."""

from __future__ import annotations

import uuid

from django.db import transaction

from web.shared.core import audit, events
from web.shared.core.actor import Actor
from web.tenant.cases import people
from web.tenant.cases.events import UNWATCHED, WATCHED
from web.tenant.cases.models import Case, CaseWatcher


def watcher_add(*, actor: Actor, case: Case, user_id: uuid.UUID) -> CaseWatcher:
    """Let a member watch the case; twice is no error. Invalid when they are no member."""
    people.worker(user_id, "/user")
    return watch(actor=actor, case=case, user_id=user_id)


def watch(*, actor: Actor, case: Case, user_id: uuid.UUID) -> CaseWatcher:
    """The same for somebody who is known to be a member."""
    with transaction.atomic():
        row, made = CaseWatcher.objects.get_or_create(case=case, user_id=user_id)
        if made:
            audit.record(actor=actor, action="create", obj=row)
            events.emit(WATCHED, obj=case, actor=actor, data={"user": str(user_id)})
    return row


def watcher_remove(*, actor: Actor, watcher: CaseWatcher) -> None:
    with transaction.atomic():
        audit.record(actor=actor, action="delete", obj=watcher)
        data = {"user": str(watcher.user_id)}
        events.emit(UNWATCHED, obj=watcher.case, actor=actor, data=data)
        watcher.delete()
