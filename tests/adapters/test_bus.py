"""The bus, on both implementations, and what a real Redis may do to it."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio

from telephony import codec
from telephony.adapters.bus.memory import MemoryBus
from telephony.adapters.bus.redis import UP_FRAMES, RedisBus
from telephony.adapters.log.memory import MemoryLog
from telephony.contract.asks import Envelope, MuteCall, SetStatus
from telephony.contract.facts import Intent
from telephony.contract.frames import Ack, Beat, Entry, Party
from telephony.contract.ids import AskId, TenantId
from tests.adapters.log_kit import BIRTH, ONE, TWO, Proxy, Writer, a_party, agent, new_call

pytestmark = pytest.mark.redis
KEY = b"the tests' ask key"


def envelope(tenant: TenantId = ONE, body: Any = None, age: int = 0) -> Envelope:
    now = time.time_ns() // 1000 - age
    return Envelope(
        id=AskId(str(uuid.uuid4())),
        tenant=tenant,
        actor="tester",
        at=now,
        expires=now + 2_000_000,
        body=body or SetStatus(agent=agent(1), intent=Intent.READY),
    )


@pytest.fixture
async def client(stack_redis: str) -> AsyncIterator[redis.asyncio.Redis]:
    made = redis.asyncio.Redis.from_url(stack_redis)
    await made.flushdb()
    yield made
    await made.aclose()


async def until(condition: Callable[[], Any], within: float = 15) -> None:
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def frames(client: redis.asyncio.Redis, tenant: TenantId = ONE) -> list[Any]:
    page: Any = await client.xrange(f"murima:{tenant}:up")
    return [codec.decode_frame(fields[b"k"].decode(), fields[b"d"]) for _, fields in page]


async def seqs(client: redis.asyncio.Redis, tenant: TenantId = ONE) -> list[int]:
    return [frame.seq for frame in await frames(client, tenant) if isinstance(frame, Entry)]


# --- asks, on both --------------------------------------------------------------------------------------


class Asking:
    """A bus under test and the web tier's side of it."""

    def __init__(self, bus: Any, post: Callable[[TenantId, bytes], Any]) -> None:
        self.bus, self.post = bus, post


@pytest.fixture(params=["redis", "memory"])
async def asking(request: pytest.FixtureRequest) -> AsyncIterator[Asking]:
    if request.param == "memory":
        memory = MemoryBus(KEY)

        async def post_memory(tenant: TenantId, data: bytes) -> None:
            memory.post(tenant, data)

        yield Asking(memory, post_memory)
        return
    url = os.environ["MURIMA_REDIS_URL"]
    client = redis.asyncio.Redis.from_url(url)
    await client.flushdb()
    bus = RedisBus(url, KEY, MemoryLog().tail("bus"))

    async def post_redis(tenant: TenantId, data: bytes) -> None:
        await client.xadd(f"murima:{tenant}:down", {"d": data})

    yield Asking(bus, post_redis)
    await bus.close()
    await client.aclose()


async def take(bus: Any, count: int, within: float = 10) -> list[Envelope]:
    found: list[Envelope] = []
    async with asyncio.timeout(within):
        async for each in bus.asks():
            found.append(each)
            if len(found) == count:
                break
    return found


class TestAsks:
    async def test_they_arrive_in_order_for_served_tenants(self, asking: Asking) -> None:
        asking.bus.serve({ONE, TWO})
        sent = [
            envelope(),
            envelope(TWO),
            envelope(body=MuteCall(agent=agent(2), call=new_call(), muted=True)),
        ]
        for each in sent:
            await asking.post(each.tenant, codec.seal_ask(each, KEY))
        found = await take(asking.bus, 3)
        assert [each for each in found if each.tenant == ONE] == [sent[0], sent[2]]
        assert [each for each in found if each.tenant == TWO] == [sent[1]]

    async def test_what_does_not_fit_is_dropped_and_the_rest_goes_on(self, asking: Asking) -> None:
        asking.bus.serve({ONE})
        good = envelope()
        for bad in (
            b"",
            b"not json",
            b"{}",
            codec.seal_ask(envelope(), b"another key"),
            codec.seal_ask(envelope(TWO), KEY),
            codec.seal_ask(dataclasses.replace(envelope(), id=AskId("nul \0")), KEY),
            codec.seal_ask(envelope(), KEY).replace(b"ready", b"READY"),
        ):
            await asking.post(ONE, bad)
        await asking.post(ONE, codec.seal_ask(good, KEY))
        assert await take(asking.bus, 1) == [good]

    async def test_a_late_one_is_handed_on(self, asking: Asking) -> None:
        """The floor refuses it, so that the asker hears why."""
        asking.bus.serve({ONE})
        late = envelope(age=10_000_000)
        await asking.post(ONE, codec.seal_ask(late, KEY))
        assert await take(asking.bus, 1) == [late]


async def test_old_asks_of_the_stream_are_not_read(client: redis.asyncio.Redis, stack_redis: str) -> None:
    old = int(time.time() * 1000) - 3_000
    await client.xadd(f"murima:{ONE}:down", {"d": codec.seal_ask(envelope(), KEY)}, id=f"{old}-0")
    fresh = envelope()
    await client.xadd(f"murima:{ONE}:down", {"d": codec.seal_ask(fresh, KEY)})
    bus = RedisBus(stack_redis, KEY, MemoryLog().tail("bus"))
    bus.serve({ONE})
    assert await take(bus, 1) == [fresh]
    await bus.close()


async def test_asks_leave_redis_once_they_were_handed_on(
    client: redis.asyncio.Redis, stack_redis: str
) -> None:
    bus = RedisBus(stack_redis, KEY, MemoryLog().tail("bus"))
    bus.serve({ONE})
    asks = bus.asks()
    for _ in range(2):
        await client.xadd(f"murima:{ONE}:down", {"d": codec.seal_ask(envelope(), KEY)})
        await anext(asks)
    async with asyncio.timeout(10):
        pending = asyncio.ensure_future(anext(asks))
        while await client.xlen(f"murima:{ONE}:down"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    pending.cancel()
    await asyncio.gather(pending, return_exceptions=True)
    await bus.close()


async def test_a_tenant_served_later_is_read_and_one_left_is_not(
    client: redis.asyncio.Redis, stack_redis: str
) -> None:
    bus = RedisBus(stack_redis, KEY, MemoryLog().tail("bus"))
    bus.serve({ONE})
    asks = bus.asks()
    first = envelope()
    await client.xadd(f"murima:{ONE}:down", {"d": codec.seal_ask(first, KEY)})
    assert await anext(asks) == first
    bus.serve({TWO})
    ignored, second = envelope(), envelope(TWO)
    await client.xadd(f"murima:{ONE}:down", {"d": codec.seal_ask(ignored, KEY)})
    await client.xadd(f"murima:{TWO}:down", {"d": codec.seal_ask(second, KEY)})
    assert await anext(asks) == second
    await bus.close()


async def test_asks_go_on_after_redis_was_away(client: redis.asyncio.Redis, stack_redis: str) -> None:
    async with Proxy(stack_redis) as proxy:
        bus = RedisBus(proxy.url, KEY, MemoryLog().tail("bus"))
        bus.serve({ONE})
        reading = asyncio.create_task(take(bus, 1, 20))
        await asyncio.sleep(0.1)
        proxy.away()
        await asyncio.sleep(0.3)
        sent = envelope()
        await client.xadd(f"murima:{ONE}:down", {"d": codec.seal_ask(sent, KEY)})
        proxy.mode = "pass"
        assert await reading == [sent]
        await bus.close()


# --- frames up ------------------------------------------------------------------------------------------


class Upward:
    """A log, a bus that follows it, and the time in between."""

    def __init__(self, url: str) -> None:
        self.log = MemoryLog()
        self.writer = Writer(self.log.epoch)
        self.bus = RedisBus(url, KEY, self.log.tail("bus"))

    async def __aenter__(self) -> Upward:
        self.watch = asyncio.create_task(self.bus.watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.watch.cancel()
        await asyncio.gather(self.watch, return_exceptions=True)
        await self.bus.close()

    def append(self, count: int, tenant: TenantId = ONE, parties: list[Party] | None = None) -> None:
        self.log.append(self.writer.some(tenant, count), parties or [])


async def test_facts_and_parties_reach_their_tenants_stream_in_order(
    client: redis.asyncio.Redis, stack_redis: str
) -> None:
    async with Upward(stack_redis) as up:
        party = a_party(ONE)
        up.append(3, parties=[party])
        up.append(2, TWO)
        await until(lambda: _has(client, ONE, 3))
        await until(lambda: _has(client, TWO, 2))
        found = await frames(client)
        assert found[0] == party
        assert found[1:] == [codec.decode_entry(data) for kind, _, data in up.log.store.frames[1:4]]
        beat = Beat(tenant=ONE, epoch=1, seq=3, at=BIRTH)
        ack = Ack(tenant=ONE, ask=AskId("a"), ok=True, seq=3)
        await up.bus.send(beat)
        await up.bus.send(ack)
        assert (await frames(client))[-2:] == [beat, ack]


async def _has(client: redis.asyncio.Redis, tenant: TenantId, seq: int) -> bool:
    return bool((found := await seqs(client, tenant)) and found[-1] == seq)


@pytest.mark.parametrize("lost", ["away", "silent", "answer"])
async def test_what_redis_missed_comes_later_in_order(
    client: redis.asyncio.Redis, stack_redis: str, lost: str
) -> None:
    async with Proxy(stack_redis) as proxy, Upward(proxy.url) as up:
        up.append(5)
        await until(lambda: _has(client, ONE, 5))
        if lost == "away":
            proxy.away()
        elif lost == "silent":
            proxy.mode = "silent"
        else:
            proxy.fall_after = 1
        for _ in range(20):
            up.append(5)
            await asyncio.sleep(0)
        started = time.monotonic()
        await up.bus.send(Beat(tenant=ONE, epoch=1, seq=1, at=BIRTH))
        assert time.monotonic() - started < 5, "best effort has a deadline"
        await asyncio.sleep(0.2)
        proxy.mode = "pass"
        await until(lambda: _has(client, ONE, 105), 30)
        found = await seqs(client)
        assert list(dict.fromkeys(found)) == list(range(1, 106)), "nothing lacks; what came twice is in order"


async def test_redis_emptied_and_restarted(stack: Any, client: redis.asyncio.Redis, stack_redis: str) -> None:
    async with Upward(stack_redis) as up:
        up.append(5)
        await until(lambda: _has(client, ONE, 5))
        await client.flushall()
        up.append(5)
        await until(lambda: _has(client, ONE, 10))
        assert await seqs(client) == [6, 7, 8, 9, 10], "it goes on where it was; readers have PostgreSQL"
        await asyncio.to_thread(stack.keeper.hold, "redis")
        try:
            up.append(5)
            await up.bus.send(Beat(tenant=ONE, epoch=1, seq=1, at=BIRTH))
        finally:
            await asyncio.to_thread(stack.keeper.release, "redis")
        await client.connection_pool.disconnect()
        await until(lambda: _has(client, ONE, 15), 30)


async def test_a_stream_does_not_grow_without_end(client: redis.asyncio.Redis, stack_redis: str) -> None:
    async with Upward(stack_redis) as up:
        for _ in range(UP_FRAMES * 12 // 10 // 400):
            up.append(400)
            await asyncio.sleep(0)
        await until(lambda: _has(client, ONE, up.writer.seqs[ONE]), 60)
        assert await client.xlen(f"murima:{ONE}:up") < UP_FRAMES + 200
