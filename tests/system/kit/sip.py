"""The kit's telephones: `Caller` dials in from outside, `Agent` answers inside."""

from deployment.dev.sip.agent import Agent, Do, IncomingCall
from deployment.dev.sip.caller import Caller, OutgoingCall
from deployment.dev.sip.sound import Ear, strength, tone

__all__ = ["Agent", "Caller", "Do", "Ear", "IncomingCall", "OutgoingCall", "strength", "tone"]
