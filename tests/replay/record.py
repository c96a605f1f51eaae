"""Records the journals beside this file: real callers and phones on a real Asterisk, story by story.

    python -m tests.replay.record [NAME…]       all stories, or those of these names

Each story has a daemon with an empty log. What reached its floors is written by the daemon's own recorder;
the journal is kept only if telling it again gives exactly the facts of the log. A story whose daemon starts
again comes in two files, one for each owner; one with two tenants in a file for each.
"""

import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from deployment.dev.stack import Stack
from telephony import codec, journal
from telephony.adapters.ari import provision
from telephony.adapters.journal import JournalFiles
from telephony.contract.facts import CallArrived
from telephony.contract.frames import Entry
from telephony.contract.ids import TenantId
from telephony.contract.roster import DeviceKind
from tests.fakes.ari_rig import Rig
from tests.replay import stories
from tests.replay.stage import Stage

HERE = Path(__file__).parent
LIMIT = 200_000


@contextlib.asynccontextmanager
async def staged(stack: Stack, story: stories.Story, root: Path) -> AsyncIterator[Stage]:
    """A daemon on which the story can begin; ended and swept afterwards."""
    files = JournalFiles(root, "recorded")
    async with (
        Rig.on(stack, story.published(), stories.TENANT, recorder=files) as rig,
        Stage.on(stack, rig) as stage,
    ):
        yield stage
        await rig.until(lambda: not stage.live, 40)
    await asyncio.to_thread(files.close)


async def record(stack: Stack, name: str) -> None:
    story = stories.STORIES[name]
    root = Path(tempfile.mkdtemp(prefix="murima-journal-"))
    try:
        async with staged(stack, story, root) as stage:
            await story.tell(stage)
        keep(name, sorted(root.iterdir(), key=_order), stage.rig)  # noqa: ASYNC240
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _order(path: Path) -> tuple[str, int]:
    """By tenant, then in the order in which they were begun."""
    return path.name.split("-")[0], int(path.stem.split("-")[-1])


def keep(name: str, files: Sequence[Path], rig: Rig) -> None:
    """Compare with the log, then put journals and digests beside this file."""
    arrived = {entry.tenant for entry in _arrivals(rig)}
    tenants = sorted({path.name.split("-")[0] for path in files} & arrived)
    for tenant in tenants:
        mine = [path for path in files if path.name.startswith(tenant)]
        told = [journal.replay(journal.read(path)) for path in mine]
        facts = [codec.encode_entry(entry) for each in told for entry in each.entries]
        kept = [data for kind, of, data in rig.store.frames if kind == "fact" and of == TenantId(tenant)]
        assert facts == kept, f"{name}: told again, the facts are not those of the log"
        for number, (path, each) in enumerate(zip(mine, told, strict=True), 1):
            assert path.stat().st_size < LIMIT, f"{name} is too large: {path.stat().st_size}"
            full = name + (f"-{tenant[2]}" if len(tenants) > 1 else "") + (f"-{number}" if mine[1:] else "")
            shutil.copyfile(path, HERE / f"{full}.jsonl")
            (HERE / f"{full}.digest").write_text(each.digest() + "\n")
            print(f"{full}: {each.steps} steps, {len(each.entries)} facts, {path.stat().st_size} bytes")


def _arrivals(rig: Rig) -> list[Entry]:
    entries = (codec.decode_entry(data) for kind, _, data in rig.store.frames if kind == "fact")
    return [entry for entry in entries if isinstance(entry.fact, CallArrived)]


def plain_browsers() -> None:
    """Browsers are played by SIP phones: no DTLS."""
    provision._KINDS[DeviceKind.BROWSER] = provision._KINDS[DeviceKind.SIP]


async def record_all(stack: Stack, names: Sequence[str]) -> int:
    failed = 0
    for name in names:
        try:
            async with asyncio.timeout(90):
                await record(stack, name)
        except (AssertionError, OSError, TimeoutError) as error:
            failed += 1
            print(f"{name}: not recorded: {type(error).__name__}: {str(error)[:2000]}", file=sys.stderr)
    return 1 if failed else 0


def main(names: Sequence[str]) -> int:
    plain_browsers()
    home = Path(tempfile.mkdtemp(prefix="murima-record-"))
    home.chmod(0o755)
    stack = Stack(home, {"asterisk"}, retry_seconds=3)
    try:
        stack.start()
        return asyncio.run(record_all(stack, names or list(stories.STORIES)))
    finally:
        stack.stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
