"""Murima's side of the bench, as a helper process: the tenant, the agents' desks, and the counting.

- `make`: a tenant with two queues without after-call work, its numbers, and agents with a SIP phone each.
- `open`: a WebSocket to the desk for every agent, pinging as a browser does; then every shift, and Ready.
- `frames`: what came at the sockets since the last time, joined with the log by the offer's id: the
  instant at which the daemon's step read its clock, and the one at which the dialplan first saw the caller.
- `rows`: how many calls the tenant's table has, complete.

Instants at the sockets are UTC of this machine, read when the frame was read.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from typing import Any

import aiohttp
import django
from django.conf import settings

from tests.bench.child import Failed, serve

SLUG = "bench"
NUMBERS = {"free": "+254709000001", "waiting": "+254709000002"}
TRUNK = "trunk"
PING_SECONDS = 5
READY_SECONDS = 60
COUNT_SECONDS = 30


class Floor:
    def __init__(self) -> None:
        self._tenant = ""
        self._agents: list[dict[str, str]] = []
        self._frames: list[tuple[str, str, int]] = []
        self._seen: set[str] = set()
        self._kinds: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._after = 0

    async def answer(self, ask: dict[str, Any]) -> dict[str, Any]:
        match ask["do"]:
            case "make":
                return await asyncio.to_thread(self._make, ask["agents"], ask["waiting_agents"])
            case "open":
                return await self._open(ask["url"])
            case "frames":
                return await self._report(ask["rows"], ask["calls"])
        raise Failed("no such order")

    # --- the tenant -------------------------------------------------------------------------------------

    def _make(self, agents: int, waiting_agents: int) -> dict[str, Any]:
        from web.shared.accounts.onboarding import person_add, tenant_create
        from web.shared.core import keys
        from web.shared.core.actor import system
        from web.shared.tenants.context import tenant_context
        from web.tenant.calls import services

        actor = system("bench")
        tenant = tenant_create(actor=actor, slug=SLUG, name="Bench")
        self._tenant = str(tenant.pk)
        keys.ensure(tenant.pk)
        members = [
            person_add(actor=actor, tenant=tenant, email=f"a{n}@bench.example", role="agent", name=f"A{n}")
            for n in range(agents)
        ]
        with tenant_context(tenant.pk):
            queues = {}
            for name, number in NUMBERS.items():
                values = {"name": name, "wrap_up_seconds": 0, "max_wait_seconds": 600}
                queue = queues[name] = services.queue_create(actor=actor, values=values)
                services.number_add(actor=actor, values={"trunk": TRUNK, "number": number, "queue": queue})
            for n, member in enumerate(members):
                device, secret = services.sip_device_create(actor=actor, user_id=member.user.pk, label="Desk")
                services.member_add(actor=actor, queue=queues["free"], user_id=member.user.pk)
                if n < waiting_agents:
                    services.member_add(actor=actor, queue=queues["waiting"], user_id=member.user.pk)
                agent = {"user": str(member.user.pk), "endpoint": device.endpoint, "secret": secret}
                self._agents.append(agent)
        return {"tenant": self._tenant, "agents": self._agents}

    # --- desks ------------------------------------------------------------------------------------------

    async def _open(self, url: str) -> dict[str, Any]:
        from web.shared.accounts import tickets

        web = aiohttp.ClientSession()
        host = f"{SLUG}.{settings.BASE_DOMAIN}:{url.rpartition(':')[2]}"
        for agent in self._agents:
            ticket = await asyncio.to_thread(tickets.issue, self._tenant, uuid.UUID(agent["user"]))
            socket = await web.ws_connect(
                f"{url}/ws/v1/desk", headers={"Host": host}, protocols=("murima.v1", f"ticket.{ticket}"),
                max_msg_size=1 << 22, compress=0,
            )  # fmt: skip
            self._tasks.append(asyncio.create_task(self._listen(socket)))
            self._tasks.append(asyncio.create_task(self._ping(socket)))
        await self._ready()
        return {"sockets": len(self._agents)}

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            now = time.time_ns() // 1000
            frame = json.loads(message.data)
            kind = frame["type"]
            self._kinds[kind] = self._kinds.get(kind, 0) + 1
            if kind == "offer.created":
                self._frames.append((frame["data"]["id"], frame["data"]["call"], now))
                self._seen.add(frame["data"]["call"])
            elif kind == "call.state":
                self._seen.add(frame["data"]["id"])
        self._kinds["closed"] = self._kinds.get("closed", 0) + 1

    async def _ping(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while not socket.closed:
            await socket.send_json({"v": 1, "type": "ping", "id": str(uuid.uuid4()), "data": {}})
            await asyncio.sleep(PING_SECONDS)

    async def _ready(self) -> None:
        """On shift with the SIP phone and Ready, all; asked again until the log says so."""
        from telephony.contract import asks as a
        from telephony.contract.facts import Intent
        from telephony.contract.ids import AgentId, AskId, Endpoint
        from telephony.contract.view import Effective
        from web.shared.core import asks

        until = time.monotonic() + READY_SECONDS
        while True:
            view, missing = await self._view(), 0
            for agent in self._agents:
                found = view.agents.get(AgentId(agent["user"]))
                if found is not None and found.effective is Effective.READY:
                    continue
                missing += 1
                if found is None:
                    continue
                body: Any = a.SetStatus(agent=found.agent, intent=Intent.READY)
                if found.effective is Effective.OFFLINE:
                    body = a.StartShift(agent=found.agent, endpoint=Endpoint(agent["endpoint"]))
                ask = AskId(str(uuid.uuid4()))
                await asks.send_async(self._tenant, body, actor=agent["user"], ask_id=ask)
            if not missing:
                return
            if time.monotonic() > until:
                raise Failed(f"{missing} agents did not become ready")
            await asyncio.sleep(1.0)

    async def _view(self) -> Any:
        from telephony.contract.ids import TenantId
        from telephony.contract.view import View, apply
        from web.shared.core import log
        from web.shared.tenants.context import tenant_db

        view = View(tenant=TenantId(self._tenant))
        while entries := await tenant_db(self._tenant, log.read, self._tenant, after=view.seq):
            for entry in entries:
                apply(view, entry)
        return view

    # --- counting ---------------------------------------------------------------------------------------

    async def _report(self, rows: int, calls: int) -> dict[str, Any]:
        """Waits until `rows` complete calls are in the table and `calls` were at a desk, but not for ever."""
        begun = time.monotonic()
        found = await self._until_rows(rows)
        waited = time.monotonic() - begun
        await self._until_seen(calls)
        decided, arrived = await asyncio.to_thread(self._facts)
        frames, self._frames = self._frames, []
        seen, self._seen = self._seen, set()
        kinds, self._kinds = self._kinds, {}
        return {
            "rows": found,
            "rows_after": waited,
            "kinds": kinds,
            "calls_at_desk": len(seen & arrived.keys()),
            "offers": len(decided),
            "offers_at_desk": len({offer for offer, _, _ in frames} & decided.keys()),
            "decided_to_frame": [(at - decided[offer]) / 1000 for offer, _, at in frames if offer in decided],
            "arrived_to_frame": [
                (at - arrived[call]) / 1000 for offer, call, at in frames if call in arrived and _first(offer)
            ],
        }

    async def _until_rows(self, rows: int) -> int:
        until = time.monotonic() + COUNT_SECONDS
        while True:
            found = await asyncio.to_thread(self._rows)
            if found >= rows or time.monotonic() > until:
                return found
            await asyncio.sleep(0.25)

    async def _until_seen(self, calls: int) -> None:
        for _ in range(30):
            if len(self._seen) >= calls:
                return
            await asyncio.sleep(0.1)

    def _rows(self) -> int:
        from web.shared.tenants.context import tenant_context
        from web.tenant.calls.models import Call

        with tenant_context(self._tenant):
            return Call.objects.filter(
                ended_at__isnull=False, outcome="completed", agent__isnull=False
            ).count()

    def _facts(self) -> tuple[dict[str, int], dict[str, int]]:
        """The new ones: {offer: instant of the step}, {call: when the dialplan first saw the caller}."""
        from telephony.contract import facts as f
        from web.shared.core import log

        decided, arrived = {}, {}
        while entries := log.read(self._tenant, after=self._after, limit=5000):
            self._after = entries[-1].seq
            for entry in entries:
                if isinstance(entry.fact, f.OfferMade):
                    decided[str(entry.fact.offer)] = entry.at
                elif isinstance(entry.fact, f.CallArrived):
                    arrived[str(entry.fact.call)] = entry.fact.first_arrival
        return decided, arrived


def _first(offer: str) -> bool:
    """Whether it is its call's first offer: part 1 of a call is the caller's leg."""
    return offer.rpartition(".")[2] == "2"


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    asyncio.run(serve(Floor().answer))
