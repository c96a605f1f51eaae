"""What Asterisk's doors let through: AMI, ARI and HTTP to our own user only, and SIP to nobody's tricks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deployment.dev.sip.line import Line
from deployment.dev.sip.message import CRLF, Message, digest, token
from deployment.dev.stack import Stack
from tests.adapters.test_dialplan_asterisk import MUSIC, NUMBER, Ari, console, heard
from tests.stack_plugin import private_stack
from tests.system.kit.children import children
from tests.system.kit.sip import Caller

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]
PHONE, SECRET = "d0123456789ab", "the-right-one"


@pytest.fixture(scope="module")
def server() -> Iterator[Stack]:
    with private_stack({"asterisk"}, retry_seconds=30) as stack:
        yield stack


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture
async def outside(server: Stack) -> AsyncIterator[Caller]:
    async with Caller(("127.0.0.1", server.ports["sip"])) as caller:
        yield caller


class Work:
    """What Asterisk has done with processes so far: faults of children it waited for, and living ones."""

    def __init__(self, server: Stack) -> None:
        self._pid = int(str(server.keeper.status()["asterisk"]["pid"]))

    def seen(self) -> tuple[int, list[int]]:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[8]), [*children(self._pid)]


def left(place: Path) -> list[Path]:
    return list(place.iterdir())


# --- AMI --------------------------------------------------------------------------------------------------


class Manager:
    """The manager's port, spoken to by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, **fields: str) -> dict[str, str]:
        mark = token()
        lines = [f"{name}: {value}" for name, value in (fields | {"ActionID": mark}).items()]
        self._writer.write((CRLF.join(lines) + CRLF + CRLF).encode())
        async with asyncio.timeout(10):
            while True:
                block = await self._reader.readuntil((CRLF + CRLF).encode())
                rows = [row.partition(": ") for row in block.decode(errors="replace").split(CRLF)]
                said = {name: value for name, _, value in rows if name}
                if said.get("ActionID") == mark and "Response" in said:
                    return said


@contextlib.asynccontextmanager
async def manager(
    server: Stack, user: str, secret: str, source: str = "127.0.0.1"
) -> AsyncIterator[tuple[Manager, dict[str, str]]]:
    """A connection from `source`, and the answer to its sign-in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.ports["ami"], local_addr=(source, 0))
    try:
        await reader.readline()
        link = Manager(reader, writer)
        yield link, await link.ask(Action="Login", Username=user, Secret=secret)
    finally:
        writer.close()


DENIED: dict[str, dict[str, str]] = {
    "Command": {"Command": "core show version"},
    "Originate": {"Channel": "Local/s@murima-announce", "Application": "System", "Data": "id"},
    "GetConfig": {"Filename": "manager.conf"},
    "GetConfigJSON": {"Filename": "manager.conf"},
    "UpdateConfig": {"SrcFilename": "manager.conf", "DstFilename": "manager.conf", "Reload": "yes"},
    "CreateConfig": {"Filename": "x.conf"},
    "ListCategories": {"Filename": "../../../etc/passwd"},
    "ModuleLoad": {"LoadType": "load", "Module": "app_system.so"},
    "Reload": {"Module": "manager"},
    "DialplanExtensionAdd": {
        "Context": "murima-trunk", "Extension": "_X.", "Priority": "1", "Application": "System",
        "ApplicationData": "id",
    },
    "ShowDialPlan": {},
    "QueueAdd": {"Queue": "x", "Interface": "PJSIP/trunk"},
    "DBPut": {"Family": "a", "Key": "b", "Val": "c"},
    "LoggerRotate": {},
}  # fmt: skip


@pytest.mark.parametrize("action", DENIED)
async def test_our_ami_user_may_run_configure_and_originate_nothing(server: Stack, action: str) -> None:
    work = Work(server)
    before = work.seen()
    async with manager(server, "murima", server.keys["ami"]) as (link, hello):
        assert hello["Response"] == "Success"
        said = await link.ask(Action=action, **DENIED[action])
        assert said["Response"] == "Error", said
        # What is not loaded does not exist for anybody; everything else is there and not for us.
        known = {"Permission denied"} | ({"Invalid/unknown command"} if action in ABSENT else set())
        assert said["Message"] in known, said
        assert (await link.ask(Action="Ping"))["Response"] == "Success"
    assert work.seen() == before


ABSENT = frozenset({"DBPut"})


async def test_a_variable_set_by_ami_calls_no_function_that_runs_or_reads(
    server: Stack, tmp_path: Path
) -> None:
    async with manager(server, "murima", server.keys["ami"]) as (link, _):
        for name in (
            f"SHELL(touch {tmp_path}/x)",
            f"FILE({tmp_path}/x)",
            "ENV(HOME)",
            "CURL(http://127.0.0.1)",
        ):
            assert (await link.ask(Action="Setvar", Variable=name, Value="x"))["Response"] == "Error"
            said = await link.ask(Action="Getvar", Variable=name)
            assert said["Response"] == "Error" or not said["Value"], said
    assert not left(tmp_path)


async def test_ami_lets_nobody_else_in(server: Stack) -> None:
    right = server.keys["ami"]
    for user, secret in (("admin", "amp111"), ("admin", "admin"), ("murima", "murima"), ("murima", "")):
        async with manager(server, user, secret) as (_, hello):
            assert hello["Response"] == "Error" and "Authentication failed" in hello["Message"]
    async with manager(server, "murima", right, source="127.0.0.2") as (_, hello):
        assert hello["Response"] == "Error", "another address, with the right secret"


# --- ARI and HTTP -----------------------------------------------------------------------------------------

FUNCTIONS = (
    "SHELL(id)", "FILE(/etc/passwd)", "FILE(/etc/passwd,0,10)", "CURL(http://127.0.0.1/)", "ENV(PATH)",
    "DB(a/b)", "EVAL(${SHELL(id)})", "REALTIME(ps_endpoints,id,trunk)",
    "AST_CONFIG(manager.conf,murima,secret)",
    "STAT(e,/etc/passwd)", "ODBC_SQL(x)",
)  # fmt: skip


async def test_ari_variables_call_no_function_that_runs_or_reads(
    server: Stack, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    work, ari = Work(server), Ari(server, http)
    before = work.seen()
    place = {"context": "murima-announce", "extension": "s", "priority": "1"}
    made: Any = await ari.ask("POST", "channels", endpoint="Local/s@murima-announce/n", **place)
    base, headers = f"{server.asterisk.ari}/ari", ari._headers
    for where in ("asterisk/variable", f"channels/{made['id']}/variable"):
        for name in (*FUNCTIONS, f"SHELL(touch {tmp_path}/x)"):
            async with http.get(f"{base}/{where}", params={"variable": name}, headers=headers) as answer:
                text = await answer.text()
                assert answer.status >= 400 or '"value":""' in text, (where, name, answer.status, text)
            written = {"variable": name.replace("/etc/passwd", f"{tmp_path}/x"), "value": "x"}
            async with http.post(f"{base}/{where}", params=written, headers=headers) as answer:
                await answer.read()
    assert not left(tmp_path) and work.seen() == before
    said: Any = await ari.ask("GET", f"channels/{made['id']}/variable", variable="STRFTIME(0,UTC,%Y)")
    assert said["value"] == "1970", "functions are asked, and those that do harm are not there"


async def test_http_serves_ari_and_our_sockets_and_nothing_else(
    server: Stack, http: aiohttp.ClientSession
) -> None:
    base = server.asterisk.ari
    for path in ("", "httpstatus", "static/", "static/../manager.conf", "manager", "rawman", "mxml",
                 "amanager", "arawman", "amxml", "phoneprov/x", "media/x", "metrics", "uploads"):  # fmt: skip
        async with http.get(f"{base}/{path}") as answer:
            assert answer.status == 404, path
    for user, secret in (("asterisk", "asterisk"), ("admin", "admin"), ("murima", "murima"), ("murima", "")):
        headers = {"Authorization": aiohttp.encode_basic_auth(user, secret)}
        for path in ("ari/asterisk/info", "ari/channels", "ari/api-docs/resources.json"):
            async with http.get(f"{base}/{path}", headers=headers) as answer:
                assert answer.status == 401, (path, user)
        async with http.get(f"{base}/ari/channels", params={"api_key": f"{user}:{secret}"}) as answer:
            assert answer.status == 401


# --- SIP --------------------------------------------------------------------------------------------------

EXTENSIONS = (
    "500&PJSIP/trunk/19005550100", "+254700000001&PJSIP/trunk", "+254700000001;id", "$(id)", "`id`",
    "${SHELL(id)}", "$[1+1]", "s", "h", "murima-announce", "+254700000001,1", "+254700000001%0d%0a",
    "../../etc/passwd", "'%22;DROP", "+" * 15, "1" * 60, "9" * 16, "%00", "i", "t", "T",
)  # fmt: skip
UNREADABLE = frozenset({"`id`", "${SHELL(id)}", "$[1+1]"})
"""No SIP address can hold them: what asks for one is not even a request."""
CALLERS = (
    "${SHELL(id)}", "$(id)", "500&PJSIP/trunk/1900", "%00", "a" * 300, "<script>", "${GLOBAL(MURIMA_LEASE)}",
)  # fmt: skip


async def test_hostile_numbers_and_names_start_no_leg_and_no_process(
    server: Stack, outside: Caller, http: aiohttp.ClientSession
) -> None:
    ari, work = Ari(server, http), Work(server)
    await ari.lease("")
    before, calls = work.seen(), processed(server)
    invited: list[Message] = []
    carrier = Line(lambda message, _: invited.append(message))
    await carrier.open("127.0.0.2", server.ports["caller"])  # where a leg to the trunk would go
    for extension in EXTENSIONS:
        call = await outside.dial(extension, sound=False)
        try:
            assert 400 <= await call.final(2) < 700, extension
        except TimeoutError:
            assert extension in UNREADABLE, extension
    for name in CALLERS:
        call = await outside.dial("911911", caller="1", display=name, sound=False)
        await call.answered()
        await call.hang_up()
    async with asyncio.timeout(10):
        while "0 active channels" not in (said := console(server, "core show channels")):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert "PJSIP" not in said and "Local" not in said
    # "h" is there, as what is done at a hang-up: nothing, and then the caller is gone.
    assert processed(server) == calls + len(CALLERS) + 1 and invited == []
    await carrier.close()
    assert work.seen() == before


def processed(server: Stack) -> int:
    """Calls that Asterisk ever began."""
    return int(console(server, "core show calls").split("call")[1].split()[-1])


async def test_a_stranger_learns_nothing_about_which_phones_there_are(
    server: Stack, http: aiohttp.ClientSession
) -> None:
    await Ari(server, http).phone(PHONE, SECRET)
    told: dict[str, list[tuple[int, tuple[str, ...]]]] = {}
    async with Caller(("127.0.0.1", server.ports["sip"]), source="127.0.0.1") as stranger:
        for user in (PHONE, "dffffffffffff", "100", "trunk", "admin"):
            told[user] = await tries(stranger, server, user)
        assert len({str(said) for said in told.values()}) == 1, told
        assert {status for said in told.values() for status, _ in said} <= {401, 403}
        right = await register(stranger, server, PHONE, SECRET, await challenge(stranger, server, PHONE))
        assert right.status == 200, "the right secret still opens"


async def test_nobody_is_the_carrier_by_saying_so(server: Stack) -> None:
    calls = processed(server)
    async with Caller(("127.0.0.1", server.ports["sip"]), source="127.0.0.1") as stranger:
        for name in ("trunk", "sip:trunk"):
            call = await stranger.dial(NUMBER, caller=name, sound=False)
            assert await call.final() in {401, 403}
        for method in ("REGISTER", "OPTIONS", "MESSAGE"):
            assert (await ask(stranger, server, "trunk", method, [])).status in {401, 403}
    assert processed(server) == calls


async def tries(stranger: Caller, server: Stack, user: str) -> list[tuple[int, tuple[str, ...]]]:
    """(status, header names) of the answers to guessing."""
    answers = []
    for secret in ("", "1234", user, "the-wrong-one", "x" * 200):
        first = await challenge(stranger, server, user)
        answers += [first, await register(stranger, server, user, secret, first)]
    for method in ("OPTIONS", "INVITE", "SUBSCRIBE", "MESSAGE"):
        answers.append(await ask(stranger, server, user, method, []))
    return [(answer.status, tuple(sorted(name for name, _ in answer.headers))) for answer in answers]


async def challenge(stranger: Caller, server: Stack, user: str) -> Message:
    return await ask(stranger, server, user, "REGISTER", [])


async def register(stranger: Caller, server: Stack, user: str, secret: str, first: Message) -> Message:
    uri = f"sip:127.0.0.1:{server.ports['sip']}"
    proof = digest(first.get("www-authenticate"), user, secret, "REGISTER", uri)
    return await ask(stranger, server, user, "REGISTER", [("Authorization", proof)])


async def ask(
    stranger: Caller, server: Stack, user: str, method: str, more: list[tuple[str, str]]
) -> Message:
    line, place = stranger.line, ("127.0.0.1", server.ports["sip"])
    uri = f"sip:127.0.0.1:{place[1]}" if method == "REGISTER" else f"sip:{user}@127.0.0.1:{place[1]}"
    headers = [("Via", line.via()), ("Max-Forwards", "70"), ("From", f"<sip:{user}@127.0.0.1>;tag={token()}"),
               ("To", f"<sip:{user}@127.0.0.1>"), ("Call-ID", token()), ("CSeq", f"1 {method}"),
               ("Contact", f"<sip:{user}@127.0.0.1:5999>"), ("Expires", "60"), *more]  # fmt: skip
    return await line.ask(Message(f"{method} {uri} SIP/2.0", headers), place)


def malformed(seed: int) -> Iterator[bytes]:
    """Datagrams that are nearly SIP, and some that are not."""
    chance = random.Random(seed)
    whole = (
        f"INVITE sip:{NUMBER}@127.0.0.1 SIP/2.0{CRLF}Via: SIP/2.0/UDP 127.0.0.2:5999;branch=z9hG4bKx{CRLF}"
        f"From: <sip:a@b>;tag=1{CRLF}To: <sip:{NUMBER}@127.0.0.1>{CRLF}Call-ID: x{CRLF}CSeq: 1 INVITE{CRLF}"
        f"Content-Type: application/sdp{CRLF}Content-Length: 5{CRLF}{CRLF}v=0{CRLF}"
    ).encode()
    yield from (
        b"",
        b"\0" * 1500,
        os.urandom(1200),
        b"SIP/2.0 200 OK\r\n\r\n",
        b"INVITE",
        CRLF.encode() * 700,
    )
    yield whole.replace(b"Content-Length: 5", b"Content-Length: 99999999999")
    yield whole.replace(b"Content-Length: 5", b"Content-Length: -1")
    yield whole.replace(b"CSeq: 1", b"CSeq: 99999999999999999999")
    yield whole.replace(b"Via: ", b"Via: " + b"SIP/2.0/UDP x;branch=z9hG4bK," * 200)
    yield whole.replace(b"From: ", b"From: " + b"<" * 4000)
    yield whole.replace(b"INVITE sip:", b"INVITE tel:" + b"9" * 3000)
    for _ in range(300):
        bad = bytearray(whole)
        for _ in range(chance.randrange(1, 12)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        yield bytes(bad[: chance.randrange(1, len(bad) + 1)])


async def test_a_call_goes_on_through_malformed_sip_and_the_next_one_comes(
    server: Stack, outside: Caller, http: aiohttp.ClientSession
) -> None:
    await Ari(server, http).lease("")
    pid = server.keeper.status()["asterisk"]["pid"]
    loop, place = asyncio.get_running_loop(), ("127.0.0.1", server.ports["sip"])
    call = await outside.dial(NUMBER)
    await heard(call, MUSIC)
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.2", 0), remote_addr=place
    )
    for number, data in enumerate(malformed(7)):
        transport.sendto(data)
        if number % 20 == 0:
            await asyncio.sleep(0.02)
    sent = loop.time()
    assert await heard(call, MUSIC) >= sent
    await call.hang_up()
    following = await outside.dial(NUMBER)
    await heard(following, MUSIC)
    transport.close()
    status: Any = server.keeper.status()["asterisk"]
    assert status["pid"] == pid and status["starts"] == 1
