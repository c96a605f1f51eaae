"""AMI: typed actions that carry no line breaks, and a link that repeats nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from telephony.adapters.ami import link as link_module
from telephony.adapters.ami.actions import Ping, QueueStatus, Redirect, Refused, fields
from telephony.adapters.ami.link import AmiError, AmiLink


@pytest.mark.parametrize("hostile", ["a\r\nAction: Originate", "a\nb", "a\x00", "", "a b", "a,b", "${X}"])
def test_hostile_values_are_refused(hostile: str) -> None:
    with pytest.raises(Refused):
        fields(Redirect(channel=hostile, context="murima-return"))
    with pytest.raises(Refused):
        fields(Redirect(channel="PJSIP/trunk-00000001", context=hostile))


@settings(max_examples=500, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=200), min_size=3, max_size=3))
def test_whatever_a_value_is_one_action_leaves_or_none(texts: list[str]) -> None:
    channel, context, extension = texts
    for action in (
        Redirect(channel=channel, context="murima-return"),
        Redirect(channel="PJSIP/trunk-1", context=context, extension="s"),
        Redirect(channel="PJSIP/trunk-1", context="murima-return", extension=extension),
    ):
        try:
            sent = fields(action)
        except Refused:
            continue
        wire = "".join(f"{name}: {value}\r\n" for name, value in sent.items()) + "\r\n"
        assert wire.isascii() and len(wire.splitlines()) == len(sent) + 1
        assert wire.lower().count("action:") == 1 and len(wire) < 1000


def test_actions_are_what_ami_expects() -> None:
    assert fields(Redirect(channel="PJSIP/trunk-00000001", context="murima-return")) == {
        "Action": "Redirect",
        "Channel": "PJSIP/trunk-00000001",
        "Context": "murima-return",
        "Exten": "s",
        "Priority": "1",
    }


class FakeAmi:
    """Answers Login and Ping, and says what the test tells it to."""

    def __init__(self) -> None:
        self.actions: list[str] = []
        self.mute = False
        self.writers: list[asyncio.StreamWriter] = []
        self.signed_in = asyncio.Event()

    async def __aenter__(self) -> FakeAmi:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self.server.close()

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    def say(self, **event: str) -> None:
        text = "".join(f"{key}: {value}\r\n" for key, value in event.items())
        self.writers[-1].write(f"{text}\r\n".encode())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                text = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = dict(line.split(": ", 1) for line in text.split("\r\n") if ": " in line)
                self.actions.append(headers["Action"])
                if not self.mute:
                    self.say(Response="Success", ActionID=headers.get("ActionID", ""), Message="ok")
                    if headers["Action"] == "Login":
                        self.say(Event="FullyBooted", Status="Fully Booted")
                        self.signed_in.set()


@pytest.fixture
async def ami() -> AsyncIterator[FakeAmi]:
    async with FakeAmi() as made:
        yield made


async def _until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(port: int, user: str = "murima", password: str = "x") -> AsyncIterator[AmiLink]:
    made = AmiLink(host="127.0.0.1", port=port, user=user, password=password, node="a")
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_unanswered_actions_are_not_repeated_after_a_reconnect(
    ami: FakeAmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "DEADLINE", 0.3)
    monkeypatch.setattr(link_module, "BACKOFF_BASE", 0.05)
    async with running(ami.port) as link:
        await _until(lambda: link.connected)
        ami.mute = True
        with pytest.raises(AmiError):
            await link.send(Redirect(channel="PJSIP/x-1", context="murima-return"))
        ami.mute = False
        ami.signed_in.clear()
        ami.cut()
        await asyncio.wait_for(ami.signed_in.wait(), 5)
        await _until(lambda: link.connected)
        await link.send(Ping())
        assert ami.actions.count("Redirect") == 1


async def test_missing_pong_ends_the_connection(ami: FakeAmi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "PING_SECONDS", 0.05)
    monkeypatch.setattr(link_module, "PONG_SECONDS", 0.1)
    monkeypatch.setattr(link_module, "DEADLINE", 0.1)
    async with running(ami.port) as link:
        await _until(lambda: link.connected)
        ami.mute = True
        await _until(lambda: not link.connected)


async def test_fallback_queue_is_followed(ami: FakeAmi) -> None:
    async with running(ami.port) as link:
        await _until(lambda: link.connected)
        ami.say(Event="QueueCallerJoin", Uniqueid="1.1", Queue="q1")
        await _until(lambda: link.fallback == {"1.1": "q1"})
        ami.say(Event="QueueCallerAbandon", Uniqueid="1.1", Queue="q1")
        await _until(lambda: link.fallback == {})


async def test_nothing_is_sent_while_away() -> None:
    link = AmiLink(host="127.0.0.1", port=1, user="u", password="p", node="a")
    with pytest.raises(AmiError):
        await link.send(QueueStatus())


@pytest.mark.asterisk
async def test_real_asterisk_lets_us_in_and_answers(stack_asterisk: object) -> None:
    parts = urlsplit(stack_asterisk.ami)  # type: ignore[attr-defined]
    assert parts.port is not None
    async with running(parts.port, parts.username or "", parts.password or "") as link:
        await _until(lambda: link.connected)
        await link.send(Ping())
        with pytest.raises(AmiError):
            await link.send(Redirect(channel="PJSIP/nobody-00000001", context="murima-return"))
