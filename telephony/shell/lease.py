"""The lease that lets callers in, and the time-outs of those who are inside.

Every second each node's MURIMA_LEASE is set to that node's own clock plus three seconds; the dialplan sends
nobody in behind it once it has run out. It is renewed only while the door is open, so a daemon that may not
act attracts no callers. Callers inside who are not talking carry a time-out of 90 s, renewed every 30 s:
when nobody renews it, Asterisk itself takes them back to the dialplan.
"""

import asyncio
from time import monotonic

import structlog

from telephony.ports.switch import Switch, SwitchError
from telephony.shell import meters
from telephony.shell.door import Door
from telephony.shell.executor import Executor
from telephony.shell.runtime import Runtime
from telephony.shell.watch import Watch

LEASE_SECONDS = 3
RENEW_SECONDS = 1.0
TIMEOUT_SECONDS = 30.0

log = structlog.get_logger("lease")


async def keep_lease(switch: Switch, watch: Watch, door: Door) -> None:
    """For ever, for one node."""
    due = monotonic()
    while True:
        due = max(due + RENEW_SECONDS, monotonic())
        await asyncio.sleep(due - monotonic())
        if not (watch.up and door.check()):
            continue
        try:
            await switch.renew_lease(LEASE_SECONDS)
            meters.LEASE.labels(switch.node, "ok").inc()
        except SwitchError as error:
            meters.LEASE.labels(switch.node, "failed").inc()
            log.warning("lease_not_renewed", node=switch.node, status=error.status)


async def keep_timeouts(watch: Watch, runtime: Runtime, executor: Executor) -> None:
    """For ever, for one node: soon after a (re)connect, then every 30 s."""
    renewed = 0.0
    while True:
        await asyncio.sleep(1.0)
        if not watch.settled:
            renewed = 0.0
        elif monotonic() - renewed >= TIMEOUT_SECONDS:
            renewed = monotonic()
            executor.submit(watch.renewals(list(runtime.tenancies)))
