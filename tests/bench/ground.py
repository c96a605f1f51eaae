"""Where the contestants meet: one whole durable stack of its own, and on its Asterisk a way to each of them.

The bench's dialplan and queues go where the compiled fallback goes, under names of their own. Callers of all
three enter by the same trunk; each contestant has its own number. app_queue gets the same phones as members.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from deployment.dev.asterisk import ARI_USER
from deployment.dev.contents import manage
from deployment.dev.stack import Stack
from dialplan.publish import RELOAD

QUEUE_NUMBERS = {"free": "+254709000011", "waiting": "+254709000012"}
BARE_NUMBERS = {"free": "+254709000021", "waiting": "+254709000022"}
BARE_APPLICATION = "bench"
_DIALPLAN = """[murima-trunk](+)
{routes}
[bench-queue]
{queues}
[bench-bare]
exten => s,1,Stasis({application},inbound)
 same => n,Hangup()
"""


def start() -> Stack:
    """PostgreSQL with fsync and synchronous_commit, Redis, Asterisk, migrated; Murima's processes not yet."""
    home = Path(tempfile.mkdtemp(prefix="murima-bench-"))
    home.chmod(0o755)
    stack = Stack(home, durable=True)
    for part in ("postgres", "redis", "asterisk"):
        stack.start_part(part)
    manage(stack, "migrate_schemas", "--verbosity", "0")
    return stack


def clear(stack: Stack) -> None:
    stack.stop()
    if os.environ.get("MURIMA_TEST_KEEP") != "1":
        shutil.rmtree(stack.home, ignore_errors=True)


def lay_ways(stack: Stack, endpoints: list[str], waiting_agents: int) -> None:
    """Give app_queue its members and the dialplan its numbers, and let Asterisk read them."""
    directory = stack.asterisk.generated
    directory.mkdir(parents=True, exist_ok=True)
    members = {"free": endpoints, "waiting": endpoints[:waiting_agents]}
    queues = "\n".join(_queue(name, members[name]) for name in QUEUE_NUMBERS)
    ways = [(number, f"bench-queue,{name},1") for name, number in QUEUE_NUMBERS.items()]
    ways += [(number, "bench-bare,s,1") for number in BARE_NUMBERS.values()]
    dialplan = _DIALPLAN.format(
        routes="\n".join(f"exten => {number},1,Goto({where})" for number, where in ways),
        queues="\n".join(
            f"exten => {name},1,Answer()\n same => n,Queue(bench-{name},,,,600)\n same => n,Hangup()"
            for name in QUEUE_NUMBERS
        ),
        application=BARE_APPLICATION,
    )
    for name, text in (("queues-bench.conf", queues), ("extensions-bench.conf", dialplan)):
        (directory / name).write_text(text)
        (directory / name).chmod(0o644)
    for module in RELOAD:
        ari(stack, "PUT", f"asterisk/modules/{module}")


def _queue(name: str, members: list[str]) -> str:
    lines = [
        f"[bench-{name}]", "strategy = leastrecent", "retry = 1", "timeout = 20", "ringinuse = no",
        "wrapuptime = 0", "autopause = no", "joinempty = yes", "musicclass = default",
    ]  # fmt: skip
    return "\n".join([*lines, *(f"member => PJSIP/{member}" for member in members)]) + "\n"


def ari(stack: Stack, method: str, path: str) -> Any:
    """One ARI request's answer."""
    pair = base64.b64encode(f"{ARI_USER}:{stack.keys['ari']}".encode()).decode()
    request = urllib.request.Request(
        f"{stack.asterisk.ari}/ari/{path}", method=method, headers={"Authorization": f"Basic {pair}"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        body = response.read()
    return json.loads(body) if body else None
