"""One whole stack: servers and Murima's own processes, for `make up` and for tests alike.

    stack = Stack(home, parts={"postgres", "redis", "asterisk", "murima"})
    stack.start(); stack.environment; stack.keeper.hold("daemon"); stack.keeper.kill("daemon", SIGKILL)
    stack.stop()

Ports, passwords and addresses are known as soon as the object exists; servers start at `start`, or one
by one with `start_part`. A server that the environment names (MURIMA_DATABASE_URL, MURIMA_REDIS_URL,
MURIMA_ARI_URL) is used instead of an own one, unless `borrow=False`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from deployment.dev import keys, machine, ports, runfile, tools
from deployment.dev.asterisk import ARI_USER, TRUNK_SOURCE, Asterisk
from deployment.dev.contents import prepare
from deployment.dev.keeper import Keeper
from deployment.dev.murima import specs
from deployment.dev.postgres import Postgres
from deployment.dev.redis import Redis

SERVERS = ("postgres", "redis", "asterisk")
_NAMED_BY = {"postgres": "MURIMA_DATABASE_URL", "redis": "MURIMA_REDIS_URL", "asterisk": "MURIMA_ARI_URL"}


class Stack:
    """A private stack in `home`; `durable` makes PostgreSQL crash-safe."""

    def __init__(
        self,
        home: Path,
        parts: set[str] | frozenset[str] = frozenset({"postgres", "redis", "asterisk", "murima"}),
        *,
        durable: bool = False,
        usual_ports: bool = False,
        borrow: bool = False,
        verbose: bool = False,
        frozen: bool = False,
        retry_seconds: int = 60,
        rtp: tuple[int, int] | None = None,
        extra: dict[str, str] | None = None,
    ) -> None:
        self.home, self.parts = home.absolute(), set(parts)
        self.home.mkdir(parents=True, exist_ok=True)
        machine.require_reachable(self.home)
        self._borrowed = {p for p in self.parts if borrow and os.environ.get(_NAMED_BY.get(p, ""), "")}
        self.keys = keys.load(self.home / "secrets.json")
        self.ports, self._block = ports.choose(self.home / "ports.json", usual=usual_ports)
        self._frozen, self._durable, self._retry_seconds = frozen, durable, retry_seconds
        self._rtp, self._extra = rtp or self._block.rtp, extra or {}
        self.keeper = Keeper(self.home, verbose=verbose)
        self._opened = False
        self.tenants: list[dict[str, Any]] = []
        self._postgres: Postgres | None = None
        self._redis: Redis | None = None
        self._asterisk: Asterisk | None = None

    @property
    def web(self) -> str:
        """Address of the web process."""
        return f"http://127.0.0.1:{self.ports['web']}"

    @property
    def postgres(self) -> Postgres:
        """The stack's own PostgreSQL."""
        if self._postgres is None:
            binaries = tools.postgres(frozen=self._frozen)
            self._postgres = Postgres(
                self.home, self.ports["postgres"], self.keys, binaries, durable=self._durable
            )
        return self._postgres

    @property
    def redis(self) -> Redis:
        """The stack's own Redis."""
        if self._redis is None:
            self._redis = Redis(
                self.home, self.ports["redis"], self.keys["redis"], tools.redis(frozen=self._frozen)
            )
        return self._redis

    @property
    def asterisk(self) -> Asterisk:
        """The stack's own Asterisk."""
        if self._asterisk is None:
            found = tools.asterisk(frozen=self._frozen)
            self._asterisk = Asterisk(
                self.home, self.ports, self._rtp, self.keys, found, retry_seconds=self._retry_seconds
            )
        return self._asterisk

    @property
    def environment(self) -> dict[str, str]:
        """The MURIMA_* variables that Murima's processes and tests need to use this stack."""
        port, key = self.ports, self.keys
        values = {
            "MURIMA_ENV": "development", "MURIMA_HOME": str(self.home),
            "MURIMA_SECRET_KEY": key["secret_key"], "MURIMA_MASTER_KEY": key["master_key"],
            "MURIMA_ASK_KEY": key["ask_key"], "MURIMA_SHARD": "0",
            "MURIMA_NODE": "a", "MURIMA_WEB_BIND": f"127.0.0.1:{port['web']}",
            "MURIMA_SIP_WEBSOCKET": f"ws://127.0.0.1:{port['ari']}/ws",
            "MURIMA_SIP_REGISTRAR": f"127.0.0.1:{port['sip']}",
            "MURIMA_SIP_TRUNK_SOURCE": TRUNK_SOURCE,
            "MURIMA_DIALPLAN_DIR": str(self.home / "asterisk/etc/generated"),
        }  # fmt: skip
        if "postgres" not in self._borrowed:
            base = f"127.0.0.1:{port['postgres']}/murima"
            for name, role in (("", "app"), ("_OWNER", "owner"), ("_DAEMON", "daemon")):
                values[f"MURIMA_DATABASE{name}_URL"] = f"postgresql://murima_{role}:{key[role]}@{base}"
        if "redis" not in self._borrowed:
            values["MURIMA_REDIS_URL"] = f"redis://:{key['redis']}@127.0.0.1:{port['redis']}/0"
        if "asterisk" not in self._borrowed:
            values |= {
                "MURIMA_ARI_URL": f"http://127.0.0.1:{port['ari']}", "MURIMA_ARI_USER": ARI_USER,
                "MURIMA_ARI_PASSWORD": key["ari"],
                "MURIMA_AMI_URL": f"tcp://murima:{key['ami']}@127.0.0.1:{port['ami']}",
            }  # fmt: skip
        return {**values, **self._extra}

    def start(self) -> None:
        """Start the servers of `parts`; with "murima" also migrate and start Murima's processes."""
        for part in SERVERS:
            if part in self.parts:
                self.start_part(part)
        if "murima" in self.parts:
            self.tenants = prepare(self)
            self.start_murima()

    def start_part(self, part: str) -> None:
        """Start one server and wait until it answers; nothing to do when it runs or is borrowed."""
        self._open()
        if part in self._borrowed or part in self.keeper.status():
            return
        if part == "postgres":
            self.postgres.create()
            self.keeper.start(self.postgres.spec())
            self.postgres.provision()
        elif part == "redis":
            self.keeper.start(self.redis.spec())
        elif part == "asterisk":
            self.keeper.start(self.asterisk.spec())

    def start_murima(self) -> None:
        """Start Murima's own processes at once (their database has to be migrated before)."""
        self._open()
        started = specs(self)
        for spec in started:
            self.keeper.launch(spec)
        for spec in started:
            self.keeper.wait_ready(spec.name, 120)

    def run(self) -> dict[str, Any]:
        """What run.json would say of this stack now."""
        return runfile.contents(self, self.tenants)

    def stop(self) -> None:
        """Stop everything and give the ports back."""
        self.keeper.close()
        self._block.release()

    def _open(self) -> None:
        if not self._opened:
            self._opened = True
            self.keeper.open()
