"""A supervisor's live floor: queues, agents and calls; read only, and no caller's number or name."""

from __future__ import annotations

from realtime import messages as m
from realtime.audience import Audience
from realtime.consumers.base import Socket
from realtime.outbox import Outbox
from web.shared.accounts.permissions import FLOOR_VIEW


class FloorSocket(Socket):
    channel = m.FLOOR
    needs = FLOOR_VIEW

    def attach(self, position: tuple[int, int] | None) -> tuple[Audience, Outbox]:
        return self.feed.floor(position)
