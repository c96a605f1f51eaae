"""One Asterisk node, as the port wants it.

Puts feed, control sockets and HTTP together. On each (re)connect: the version gate, the standing
subscription to phones, the filter that keeps unused kinds of events from being sent, the control sockets;
only then are frames read.

Asterisk 22.10.1 tears an application down when its socket closes and nothing that it subscribed to is left.
Phones' events that are on their way at that moment are then published through a pointer to nothing, and
Asterisk dies. So the application also subscribes to an empty bridge of its own, the anchor, which is never
destroyed: the application outlives every disconnection.
"""

import asyncio
import re
from collections.abc import AsyncIterator

import structlog

from telephony.adapters.ari import commands, meters, provision, translate, wire
from telephony.adapters.ari.control import Control
from telephony.adapters.ari.entries import Entries
from telephony.adapters.ari.feed import Feed, Frame
from telephony.adapters.ari.rest import Http
from telephony.contract.ids import Endpoint, TenantId, endpoint
from telephony.contract.roster import Device
from telephony.engine import commands as c
from telephony.ports.switch import (
    BridgeSeen,
    CallerCame,
    ChannelSeen,
    LegRefused,
    Note,
    SwitchError,
    SwitchTooOld,
)

OLDEST = (22, 10, 1)
ENTRY_TRIES, ENTRY_SECONDS = 30, 0.001
"""How often a dial is tried whose leg has not entered, as far as Asterisk knows; half a second in all."""
_VERSION = re.compile(r"([0-9]+)\.([0-9]+)(?:\.([0-9]+))?")
_CONFIG = "asterisk/config/dynamic/res_pjsip"

log = structlog.get_logger("ari")


def check_version(text: str) -> None:
    """Raises SwitchTooOld for an Asterisk before 22.10.1, or one that does not say."""
    found = _VERSION.search(text)
    version = tuple(int(part or 0) for part in found.groups()) if found else ()
    if version < OLDEST:
        raise SwitchTooOld(
            f"Asterisk {text or 'of an unknown version'} is too old: Murima needs 22.10.1 or newer, because "
            "earlier releases let a read-only ARI user write over WebSocket, and ARI run dangerous code. "
            "Next: install Asterisk 22.10.1 or newer, or point MURIMA_ARI_URL at one."
        )


class AriSwitch:
    """Implements `ports.switch.Switch`."""

    def __init__(self, *, url: str, user: str, password: str, shard: str, node: str) -> None:
        self.node = node
        self.application = f"murima-{shard}"
        self._anchor = f"{self.application}-anchor"
        self._http = Http(url, user, password, node)
        self._control = Control(self._http, self.application, node)
        self._feed = Feed(self._http, self.application, node, self._prepare)
        self._entries = Entries()

    # --- up -----------------------------------------------------------------------------------------

    async def notes(self) -> AsyncIterator[Note]:
        async for item in self._feed.items():
            if not isinstance(item, Frame):
                yield item
                continue
            found = self._translate(item)
            if found is not None:
                yield found

    def _translate(self, frame: Frame) -> Note | None:
        try:
            kind, event = wire.decode(frame.data)
            if event is None:
                meters.dropped(self.node, "unused" if kind in wire.IGNORED else "unknown").inc()
                return None
            meters.frames(self.node, kind).inc()
            if isinstance(event, wire.StasisStart):
                self._entries.entered(event.channel.id)
            return translate.note(event, node=self.node, application=self.application)
        except wire.Malformed:
            meters.dropped(self.node, "malformed").inc()
            return None

    async def _prepare(self) -> str:
        info: wire.Info = await self._http.get("asterisk/info", wire.Info)
        check_version(info.system.version)
        await self._http.request("POST", f"bridges/{self._anchor}?type=holding", done=frozenset({409}))
        application = f"applications/{self.application}"
        for source in (f"bridge:{self._anchor}", "endpoint:"):
            await self._http.request("POST", f"{application}/subscription?eventSource={source}")
        quiet = {"disallowed": [{"type": kind} for kind in wire.IGNORED]}
        await self._http.request("PUT", f"{application}/eventFilter", quiet)
        await self._control.renew()
        return info.status.startup_time

    async def ping(self) -> None:
        await self._feed.ping()

    def reconnect(self) -> None:
        """Take the application back from whoever replaced us."""
        self._feed.reconnect()

    # --- down ---------------------------------------------------------------------------------------

    async def carry_out(self, command: c.SwitchCommand, lane: int, shown: str) -> None:
        try:
            wanted = commands.requests(command, application=self.application, shown=shown)
        except ValueError as error:
            log.error("command_refused", node=self.node, command=type(command).__name__, why=str(error))
            raise SwitchError(type(command).__name__, 400) from error
        leg = command.leg if isinstance(command, c.RingAgent) else ""
        if leg:
            self._entries.expect(leg)
        try:
            for request in wanted:
                if request.needs_entry:
                    await self._entries.wait(leg)
                await self._one(lane, request, type(command).__name__)
        finally:
            self._entries.forget(leg)

    async def _one(self, lane: int, request: commands.Request, what: str) -> None:
        for attempt in range(ENTRY_TRIES):
            status, body = await self._control.request(lane, request.method, request.uri, request.body)
            if not (request.needs_entry and status == 409 and commands.NOT_ENTERED in body):
                break
            meters.requests(self.node, "early").inc()
            await asyncio.sleep(ENTRY_SECONDS * (attempt + 1))
        else:
            raise SwitchError(what, status)
        if status in request.done:
            return
        if request.creates_leg and status >= 500:
            raise LegRefused(what, status)
        raise SwitchError(what, status)

    def caller(self, seen: ChannelSeen) -> CallerCame | None:
        return translate.caller_in_list(seen, self.node)

    async def give_back(self, channel: str) -> None:
        request = commands.give_back(channel)
        await self._http.request(request.method, request.uri, request.body, request.done)

    async def hang_up(self, channel: str) -> None:
        await self._http.request("DELETE", f"channels/{commands.channel(channel)}", done=frozenset({404}))

    async def packets(self, leg: str) -> int | None:
        try:
            found: wire.RtpStatistics = await self._http.get(
                f"channels/{commands.ours(leg)}/rtp_statistics", wire.RtpStatistics
            )
        except SwitchError as error:
            if error.status == 404:
                return None
            raise
        return found.rxcount

    async def destroy_bridge(self, bridge: str) -> None:
        await self._http.request("DELETE", f"bridges/{commands.ours(bridge)}", done=frozenset({404}))

    async def renew_lease(self, seconds: int) -> None:
        now: wire.Variable = await self._http.get("asterisk/variable?variable=EPOCH", wire.Variable)
        if not now.value.isdigit():
            raise SwitchError("the switch's clock", 0)
        await self._http.request(
            "POST", f"asterisk/variable?variable=MURIMA_LEASE&value={int(now.value) + seconds}"
        )

    # --- lists --------------------------------------------------------------------------------------

    async def channels(self) -> list[ChannelSeen]:
        found: list[wire.Channel] = await self._http.get("channels", list[wire.Channel])
        try:
            return [translate.channel_seen(each, self.application) for each in found]
        except wire.Malformed as error:
            raise SwitchError("GET channels", 0) from error

    async def bridges(self) -> list[BridgeSeen]:
        found: list[wire.Bridge] = await self._http.get("bridges", list[wire.Bridge])
        return [
            BridgeSeen(id=each.id, channels=tuple(each.channels), ours=each.name == self.application)
            for each in found
        ]

    async def devices(self) -> dict[Endpoint, bool]:
        found: list[wire.Endpoint] = await self._http.get("endpoints", list[wire.Endpoint])
        seen = (translate.device(each, self.node) for each in found)
        return {each.endpoint: each.reachable for each in seen if each is not None}

    # --- devices ------------------------------------------------------------------------------------

    async def provision(self, tenant: TenantId, device: Device) -> bool:
        wanted = provision.wanted(tenant, device)
        if await self._mark(wanted.name) == wanted.mark:
            meters.PROVISIONED.labels(self.node, "kept").inc()
            return False
        for kind, fields in wanted.objects:
            await self._http.request("PUT", f"{_CONFIG}/{kind}/{wanted.name}", provision.body(fields))
        meters.PROVISIONED.labels(self.node, "written").inc()
        return True

    async def _mark(self, name: str) -> str:
        try:
            found: list[wire.Attribute] = await self._http.get(
                f"{_CONFIG}/endpoint/{name}", list[wire.Attribute]
            )
        except SwitchError as error:
            if error.status == 404:
                return ""
            raise
        return next((each.value for each in found if each.attribute == "accountcode"), "")

    async def withdraw(self, name: Endpoint) -> None:
        checked = endpoint(name)
        for kind in ("endpoint", "aor", "auth"):
            await self._http.request("DELETE", f"{_CONFIG}/{kind}/{checked}", done=frozenset({404}))
        meters.PROVISIONED.labels(self.node, "withdrawn").inc()

    async def close(self) -> None:
        await asyncio.gather(self._control.close())
        await self._http.close()
