"""Whoever is erased is found nowhere: in a running system, with a real call, soon, and at nobody's cost.

Transit keys seal for two seconds here instead of 240, so that their whole life passes while somebody talks.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.system.kit import survival
from tests.system.kit.everywhere import Everywhere
from tests.system.kit.mail import Mailbox
from tests.system.kit.rest import Rest, shared
from tests.system.kit.sip import Caller
from tests.system.kit.survival import AGENT_HZ, CALLER_HZ, DISPOSITION, Field, Seat, soon, talk, unbroken

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

PERIOD = 2
FIRST, LAST = "Zanelekwa", "Mbatharonyo"
NAME = f"{FIRST} {LAST}"
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


@pytest.fixture(scope="module")
def quick() -> Iterator[Field]:
    """A stack whose transit keys change every two seconds. Its mail leaves the house, as everywhere but on a
    developer's console: what a colleague's mailbox holds no erasure can reach."""
    mailbox = Mailbox()
    mailbox.start()
    settings = {"MURIMA_TRANSIT_SECONDS": str(PERIOD), "MURIMA_EMAIL_URL": mailbox.url}
    try:
        with survival.field(**settings, MURIMA_JOURNAL="1") as made:
            yield made
    finally:
        mailbox.stop()


@pytest.fixture
def field(quick: Field) -> Iterator[Field]:
    yield quick
    quick.heal()


def person(field: Field, slug: str, role: str) -> tuple[Rest, str]:
    """REST as somebody with this role, and their id."""
    tenant = field.tenants[slug]
    user = next(one for one in tenant["users"] if one["role"] == role)
    rest = shared(tenant["url"], str(user["email"]), str(user["password"]))
    return rest, str(rest.get("/auth/me/")["user"]["id"])


def a_number() -> str:
    return f"+2547{secrets.randbelow(10**8):08d}"


def exported(rest: Rest, kind: str) -> str:
    """Make an export of the contacts; the job's id when it is done."""
    status, job = rest.call("POST", "/contacts/exports/", {"format": kind})
    assert status == 202, job
    until = time.monotonic() + 30
    while rest.get(f"/jobs/{job['id']}/")["state"] != "done":
        assert time.monotonic() < until, "the export is not made"
        time.sleep(0.2)
    return str(job["id"])


def content(rest: Rest, job: str) -> str:
    """What an export's file says."""
    url = rest.get(f"/jobs/{job}/result/")["url"]
    status, answer = rest.call("GET", url[url.index("/api/v1") + len("/api/v1") :], Accept="*/*")
    assert status == 200, answer
    return json.dumps(answer)


def live(field: Field, number: str) -> str:
    """Bring the person into everything that can be written about them; the contact's id."""
    admin, _ = person(field, "amani", "admin")
    national, digits = f"0{number[-9:]}", number[1:]
    made = {"first_name": FIRST, "last_name": LAST, "phones": [{"number": national, "safety_note": FIRST}]}
    contact = str(admin.post("/contacts/", made)["id"])
    category = admin.get("/reference-data/case-categories/?limit=1")["data"][0]["id"]
    case = {"title": f"About {NAME}", "description": f"{NAME.upper()}, {digits}", "case_type": category}
    _, worker = person(field, "amani", "supervisor")
    made_case = admin.post("/cases/", {**case, "contact": contact, "assigned_to": worker})
    admin.post(f"/cases/{made_case['id']}/notes/", {"content": f"{NAME} on {national}"})
    task = {"title": f"Call {NAME}", "description": f"At {number}", "contact": contact, "assigned_to": worker}
    admin.post("/tasks/", task)
    channel = admin.post("/communications/channels/", {"name": f"Texts {digits[:3]}", "type": "sms"})["id"]
    message = {"channel": channel, "contact": contact, "content": f"I am {NAME}", "address": number}
    admin.post("/communications/interactions/", message)
    admin.upload("/documents/", f"{LAST}.pdf", PDF + f"% {NAME} {number}".encode(), contact=contact)
    assert LAST in content(admin, exported(admin, "csv"))
    return contact


async def calls(field: Field, seat: Seat, number: str, note: str = "") -> str:
    """The person calls, somebody answers, and writes a note; the call's id when its row is finished."""
    async with Caller(field.place) as outside:
        call = await outside.dial(
            field.number(seat.slug), caller=number, display=NAME, frequency=CALLER_HZ[seat.slug]
        )
        ring = await seat.rings()
        await seat.desk.until(lambda told: (told.get("offer") or {}).get("party"))
        assert seat.desk.state["offer"]["party"]["number"] == number, "the card shows who calls"
        await ring.accept()
        await seat.desk.phase("talking")
        identity = str(seat.call["id"])
        await call.hang_up()
        await seat.desk.effective("wrap_up")
        await seat.desk.ask("wrapup.finish", call=identity, disposition=DISPOSITION[seat.slug], note=note)
        await seat.desk.until(lambda told: told["agent"]["wrap_up"] is None)
    await soon(lambda: finished(field, seat.slug, identity), 30, "the call's row")
    return identity


def finished(field: Field, slug: str, call: str) -> bool:
    rows = {one["id"]: one for one in field.oracle.calls(field.id(slug))}
    return bool(call in rows and rows[call]["ended"] and rows[call]["disposition"])


def told(field: Field) -> bool:
    """Whether somebody was notified with the name."""
    rest, _ = person(field, "amani", "supervisor")
    return LAST in json.dumps(rest.get("/notifications/?limit=50"))


def searched(field: Field, number: str) -> set[str]:
    """What searches find, by any form of the name and the number."""
    admin, _ = person(field, "amani", "admin")
    found = set()
    for wanted in (FIRST, LAST.upper(), number[1:], f"0{number[-9:]}", number[-9:]):
        for what in ("contacts", "calls", "cases", "documents", "tasks"):
            rows = admin.get(f"/{what}/?limit=200&q={wanted}")["data"]
            text = json.dumps(rows).lower()
            if any(word.lower() in text for word in (FIRST, LAST, number[-9:])):
                found.add(f"{what} by {wanted}")
    return found


async def nothing(look: Callable[[], set[str]], seconds: float) -> None:
    """Look until nothing is found; what was found at the last is in the failure's message."""
    until = time.monotonic() + seconds
    while found := await asyncio.to_thread(look):
        assert time.monotonic() < until, f"still found after {seconds:g} s: {found}"
        await asyncio.sleep(0.5)


async def test_an_erased_caller_is_found_nowhere_while_somebody_else_talks(field: Field) -> None:
    number, slug = a_number(), "amani"
    field.oracle.mark([field.id("amani"), field.id("umoja")])
    look = Everywhere(field.stack, field.id(slug), number, FIRST, LAST)
    async with Seat(field, slug) as seat, Seat(field, "umoja") as other, Caller(field.place) as neighbour:
        talking = await field.dial(neighbour, "umoja")
        ring = await other.takes()
        await talk("umoja", talking, ring)
        contact = await asyncio.to_thread(live, field, number)
        await soon(lambda: told(field), 30, "a notification that names them")
        await calls(field, seat, number, f"{NAME} is well")
        before = await asyncio.to_thread(look.opened)
        assert {"row", "stream", "segment"} <= before, f"the search for sealed copies is blind: {before}"
        before = await asyncio.to_thread(look.plain)
        assert "database" in before and any("jobs" in place for place in before), before
        assert await asyncio.to_thread(searched, field, number), "searches find them"
        admin, _ = person(field, slug, "admin")
        begun = time.monotonic()
        status, answer = await asyncio.to_thread(admin.call, "POST", f"/contacts/{contact}/erase/", {})
        assert status == 200 and answer["rows"] > 5, answer
        assert "row" not in await asyncio.to_thread(look.opened), "the row is empty at once"
        assert await asyncio.to_thread(searched, field, number) == set()
        await nothing(look.plain, 15)
        await nothing(look.opened, 2 * PERIOD + 10)
        ended = time.monotonic()
        assert await asyncio.to_thread(look.plain) == set()
        assert any((field.stack.home / "data/journal").iterdir()), "journals were written and looked at"
        for kind in ("csv", "ndjson"):
            link = await asyncio.to_thread(exported, admin, kind)
            text = await asyncio.to_thread(content, admin, link)
            assert LAST not in text and number[-9:] not in text
        assert await asyncio.to_thread(look.plain) == set(), "and nothing came back"
        unbroken(talking, AGENT_HZ["umoja"], begun, ended)
        unbroken(ring, CALLER_HZ["umoja"], begun, ended)
        await other.desk.phase("talking")
        shown = str(other.call["id"])
        await talking.hang_up()
        await other.writes_up(shown)
        field.note(test="erased", seconds=round(ended - begun, 1))
    await asyncio.to_thread(field.oracle.at_rest, {field.id("amani"): 1, field.id("umoja"): 1})


async def test_keys_change_under_calls_and_no_card_and_no_row_lacks_its_number(field: Field) -> None:
    """Through changes of keys, a daemon killed between two of them, and PostgreSQL away."""
    slug, numbers = "amani", [a_number() for _ in range(5)]
    field.oracle.mark([field.id("amani"), field.id("umoja")])
    async with Seat(field, slug) as seat, Seat(field, "umoja") as other, Caller(field.place) as neighbour:
        talking = await field.dial(neighbour, "umoja")
        ring = await other.takes()
        await talk("umoja", talking, ring)
        first, begun = transit_keys(field), time.monotonic()
        for number in numbers[:2]:
            await calls(field, seat, number)
            await asyncio.sleep(PERIOD + 1)
        starts = field.starts()
        field.kill("daemon", signal.SIGKILL)
        await field.recovered(starts, 30)
        await seat.desk.until(lambda now: now.get("live", "live") == "live", 30)
        await seat.desk.until(lambda now: now["agent"]["effective"] == "ready", 30)
        await calls(field, seat, numbers[2])
        await asyncio.to_thread(field.keeper.hold, "postgres")
        await asyncio.sleep(2 * PERIOD)
        async with Caller(field.place) as outside:
            call = await outside.dial(field.number(slug), caller=numbers[3], frequency=CALLER_HZ[slug])
            offered = await seat.rings()
            await seat.desk.until(lambda now: (now.get("offer") or {}).get("party"))
            assert seat.desk.state["offer"]["party"]["number"] == numbers[3], "without PostgreSQL, too"
            await offered.accept()
            await seat.desk.phase("talking")
            shown = str(seat.call["id"])
            await asyncio.to_thread(field.keeper.release, "postgres")
            await call.hang_up()
            await seat.writes_up(shown)
        await soon(lambda: finished(field, slug, shown), 30, "the call's row")
        await calls(field, seat, numbers[4])
        await soon(lambda: not first & transit_keys(field), 2 * PERIOD + 10, "the end of the first keys")
        unbroken(talking, AGENT_HZ["umoja"], begun, time.monotonic())
        rest, _ = person(field, slug, "supervisor")
        kept = {row["caller_number"] for row in rest.get("/calls/?limit=50")["data"]}
        assert set(numbers) <= kept, "no caller was lost on the way"
        assert len(transit_keys(field)) <= 3
        shown = str(other.call["id"])
        await talking.hang_up()
        await other.writes_up(shown)
    await asyncio.to_thread(field.oracle.at_rest, {field.id("amani"): 5, field.id("umoja"): 1})


def transit_keys(field: Field) -> set[int]:
    return {number for (number,) in field.oracle.query("SELECT number FROM transit_key")}
