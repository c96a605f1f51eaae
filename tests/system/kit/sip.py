"""The kit's telephones: `Caller` dials in from outside, `Agent` answers inside."""

from tests.system.kit.agent import Agent, Do, IncomingCall
from tests.system.kit.caller import Caller, OutgoingCall
from tests.system.kit.sound import Ear, strength, tone

__all__ = ["Agent", "Caller", "Do", "Ear", "IncomingCall", "OutgoingCall", "strength", "tone"]
