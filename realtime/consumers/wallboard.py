"""Queues on a wall: a snapshot, then at most two frames a second whatever happens on the floor."""

from __future__ import annotations

from realtime import messages as m
from realtime.audience import Audience
from realtime.consumers.base import Socket
from realtime.outbox import Outbox
from web.shared.accounts.permissions import WALLBOARD_VIEW


class WallboardSocket(Socket):
    channel = m.WALLBOARD
    needs = WALLBOARD_VIEW
    personal = False

    def attach(self, position: tuple[int, int] | None) -> tuple[Audience, Outbox]:
        return self.feed.wallboard(position)
