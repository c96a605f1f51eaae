"""Commands on their way to the switch: in order per conversation, side by side between conversations.

Every conversation has a lane, chosen by its id for ever, and each lane one worker, so nothing overtakes. The
door is passed before each command. What fails comes back as an event: a leg that the switch would not call
as `LegGone`, everything else as `CommandFailed`, together with a doubt. A ring whose offer is over before
its turn came is not sent at all, nor is the bridge of a talk that is: it would only fail.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from time import monotonic
from zlib import crc32

import structlog

from telephony.contract.ids import CallId, LegId
from telephony.engine import commands as c
from telephony.engine import events as e
from telephony.ports.switch import LANES, LegRefused, Switch, SwitchError
from telephony.shell import meters
from telephony.shell.door import Door

SUBSCRIBER_ABSENT = 20
"""Q.850, what an unregistered phone amounts to."""

CLEARING_SECONDS = 0.01
"""What is cleared away waits this long when the same step rings somebody: Asterisk makes a leg in half of it,
unless it has other things to do."""

HEARING_SECONDS = 0.02
"""Asterisk refuses what concerns a channel as soon as that hangs up, and tells of the end a little later."""

log = structlog.get_logger("executor")


class Executor:
    """`node_of` names the switch of a call; `report` takes the outcome, `doubt` asks to compare lists."""

    def __init__(
        self,
        switches: Mapping[str, Switch],
        door: Door,
        *,
        node_of: Callable[[CallId], str],
        shown: Callable[[c.RingAgent], str],
        wanted: Callable[[c.SwitchCommand], bool],
        report: Callable[[CallId, e.Event], None],
        doubt: Callable[[str, str], None],
    ) -> None:
        self._switches = switches
        self._door = door
        self._node_of, self._shown, self._wanted = node_of, shown, wanted
        self._report, self._doubt = report, doubt
        self._lanes: list[deque[tuple[float, c.SwitchCommand]]] = [deque() for _ in range(LANES)]
        self._some = [asyncio.Event() for _ in range(LANES)]
        self._later: dict[CallId, list[tuple[float, c.SwitchCommand]]] = {}
        """Conversations that are cleared away, held back until rings have passed."""
        self._pending: Counter[CallId] = Counter()
        self._idle = asyncio.Event()

    def submit(self, commands: Iterable[c.SwitchCommand]) -> None:
        """Queue commands; they leave in this order per conversation. When one of them rings somebody, then
        conversations that are only cleared away let it pass: a caller waits for a ring, and nobody for those.
        A leg's end is not put off, because its phone may be the one to ring next."""
        moment = monotonic()
        batch = list(commands)
        if any(isinstance(command, c.RingAgent) for command in batch):
            self._put_off({each.call for each in batch} - {each.call for each in batch if not _clears(each)})
        for command in batch:
            self._pending[command.call] += 1
            later = self._later.get(command.call)
            if later is None:
                self._queue(moment, command)
            else:
                later.append((moment, command))

    def _put_off(self, calls: set[CallId]) -> None:
        """Hold these conversations back for a moment. Nothing of one overtakes what is held back."""
        fresh = tuple(call for call in calls if call not in self._later)
        if fresh:
            self._later.update((call, []) for call in fresh)
            asyncio.get_running_loop().call_later(CLEARING_SECONDS, self._release, fresh)

    def _release(self, calls: Iterable[CallId]) -> None:
        for call in calls:
            for moment, command in self._later.pop(call):
                self._queue(moment, command)

    def _queue(self, moment: float, command: c.SwitchCommand) -> None:
        lane = lane_of(command.call)
        self._lanes[lane].append((moment, command))
        self._some[lane].set()

    def busy(self, call: CallId) -> bool:
        """Whether commands of this call have not been carried out yet."""
        return call in self._pending

    async def drained(self) -> None:
        """Returns when nothing is pending."""
        while self._pending:
            self._idle.clear()
            await self._idle.wait()

    async def run(self) -> None:
        """All lanes, for ever."""
        async with asyncio.TaskGroup() as group:
            for lane in range(LANES):
                group.create_task(self._work(lane), name=f"lane-{lane}")

    async def _work(self, lane: int) -> None:
        queue, some = self._lanes[lane], self._some[lane]
        while True:
            while queue:
                await self._door.passage()
                moment, command = queue.popleft()
                try:
                    await self._carry_out(lane, moment, command)
                finally:
                    self._done(command.call)
            some.clear()
            await some.wait()

    def _done(self, call: CallId) -> None:
        self._pending[call] -= 1
        if self._pending[call] <= 0:
            del self._pending[call]
        if not self._pending:
            self._idle.set()

    async def _carry_out(self, lane: int, moment: float, command: c.SwitchCommand) -> None:
        kind = type(command).__name__
        shown = ""
        if not self._wanted(command):
            meters.commands("overtaken").inc()
            return
        if isinstance(command, c.RingAgent):
            shown = self._shown(command)
        node = self._node_of(command.call)
        meters.commands(kind).inc()
        try:
            await self._switches[node].carry_out(command, lane, shown)
        except SwitchError as error:
            await self._failed(node, command, error)
        except Exception as error:  # one command's defect is not the end of every call
            log.exception("command_broke", node=node, command=kind, error=type(error).__name__)
            await self._failed(node, command, SwitchError(kind, 0))
        else:
            meters.command_seconds(kind).observe(monotonic() - moment)

    async def _failed(self, node: str, command: c.SwitchCommand, error: SwitchError) -> None:
        kind = type(command).__name__
        meters.FAILED.labels(kind).inc()
        log.warning("command_failed", node=node, call=command.call, command=kind, status=error.status)
        if isinstance(error, LegRefused):
            leg = LegId(part_of(command))
            gone = e.LegGone(call=command.call, leg=leg, cause=SUBSCRIBER_ABSENT, refused=True)
            self._report(command.call, gone)
            return
        if error.status:
            await self._hear_first(node)
        failed = e.CommandFailed(call=command.call, part=part_of(command), what=kind, status=error.status)
        self._report(command.call, failed)
        self._doubt(node, "command_failed")

    async def _hear_first(self, node: str) -> None:
        """Whoever hung up just now made the command fail: let that be decided before its failure is."""
        await asyncio.sleep(HEARING_SECONDS)
        with suppress(SwitchError):
            await self._switches[node].ping()


def lane_of(call: CallId) -> int:
    """The lane of a conversation: the same in every process."""
    return crc32(call.encode()) % LANES


def _clears(command: c.SwitchCommand) -> bool:
    """Whether a command only ends what nobody needs any more."""
    return isinstance(command, c.HangUpCaller | c.DestroyBridge)


def part_of(command: c.SwitchCommand) -> str:
    """The leg or bridge that a command is about; the call's own id when it is about the caller."""
    match command:
        case c.RingAgent(leg=part) | c.HangUpLeg(leg=part) | c.MuteLeg(leg=part):
            return part
        case (
            c.Bridge(bridge=part)
            | c.HoldCaller(bridge=part)
            | c.ResumeCaller(bridge=part)
            | c.DestroyBridge(bridge=part)
        ):
            return part
        case _:
            return command.call
