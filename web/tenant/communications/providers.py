"""Who really sends: one provider per kind of gateway, registered by name.

A channel names its provider in its configuration (default: the channel's type). None is shipped that was not
run against the real service; without one a channel receives and records, and sending is refused as what it
is: `no_provider`. A provider gets clear secrets, must answer within `SECONDS`, and is called at least once
for a message, always with the same id, so it can tell a repetition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from web.shared.api.problems import Conflict
from web.tenant.communications.models import Channel

SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be sent. `id` stays the same however often it is tried."""

    id: UUID
    address: str
    subject: str
    content: str
    format: str
    attachments: tuple[str, ...]


class NotSent(Exception):
    """`code` is stored, so it names a kind of failure and nothing of the message. `final`: try no more."""

    def __init__(self, code: str, *, final: bool = False) -> None:
        super().__init__(code)
        self.code, self.final = code[:60], final


class ChannelProvider(Protocol):
    def send(
        self, message: Message, configuration: Mapping[str, Any], secrets: Mapping[str, str], timeout: float
    ) -> str:
        """Hand the message over; returns the provider's id of it. Raises NotSent."""
        ...


class NoProvider(Conflict):
    code = "no_provider"
    title = "This channel cannot send"
    meaning = (
        "No provider is installed for it, or it is switched off. What comes in is recorded all the same."
    )


_providers: dict[str, ChannelProvider] = {}


def register(name: str, provider: ChannelProvider) -> None:
    _providers[name] = provider


def unregister(name: str) -> None:
    _providers.pop(name, None)


def provider_of(channel: Channel) -> ChannelProvider | None:
    """The provider that the channel's configuration names; None when it is not installed."""
    return _providers.get(str(channel.configuration.get("provider") or channel.type))


def require(channel: Channel) -> ChannelProvider:
    """Raises NoProvider, also for a channel that is not active."""
    found = provider_of(channel)
    if found is None or not channel.is_active or channel.is_deleted:
        raise NoProvider(channel=str(channel.pk))
    return found
