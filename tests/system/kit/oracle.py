"""An independent judge: what Asterisk lists, what rows and facts say, what a desk was told.

It shares no code with the daemon, the web tier or the fold: ARI over urllib, SQL as the superuser, and its
own small reading of facts. `at_rest` is asked at the end of a test, when every call is over; `alive` while
calls are up.
"""

from __future__ import annotations

import base64
import contextlib
import json
import time
import urllib.request
from collections import Counter
from typing import Any

import psycopg
from psycopg import sql

from deployment.dev.stack import Stack
from tests.system.kit.capture import Request

_ANCHOR = "-anchor"


class Oracle:
    """Looks at a stack; `mark` remembers where the logs stand, so that a test sees only its own."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._since: dict[str, int] = {}

    # Looking.

    def ari(self, path: str) -> Any:
        """A GET of ARI, past every proxy."""
        with urllib.request.urlopen(self._request("GET", path), timeout=5) as answer:
            return json.load(answer)

    def hang_up(self, channel: str) -> None:
        """End what a failed test has left."""
        with contextlib.suppress(OSError):
            urllib.request.urlopen(self._request("DELETE", f"channels/{channel}"), timeout=5).close()

    def _request(self, method: str, path: str) -> urllib.request.Request:
        pair = base64.b64encode(f"murima:{self._stack.keys['ari']}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}"}
        return urllib.request.Request(
            f"{self._stack.asterisk.ari}/ari/{path}", method=method, headers=headers
        )

    def query(self, text: str, *values: object, schema: str = "public") -> list[tuple[Any, ...]]:
        """Rows, as the superuser."""
        with psycopg.connect(self._stack.postgres.url("postgres"), connect_timeout=5) as connection:
            connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(schema)))
            return connection.execute(text, values).fetchall()

    def facts(self, tenant: str, call: str | None = None) -> list[dict[str, Any]]:
        """Committed facts since the mark: {seq, epoch, at, type, …its fields}."""
        rows = self.query(
            "SELECT seq, epoch, at, type, data FROM log_fact WHERE tenant = %s AND seq > %s ORDER BY seq",
            tenant,
            self._since.get(tenant, 0),
        )
        found = [dict(data, seq=seq, epoch=epoch, at=at, type=kind) for seq, epoch, at, kind, data in rows]
        return [fact for fact in found if call is None or fact.get("call") == call]

    def counts(self, tenant: str, call: str) -> Counter[str]:
        """How often each kind of fact was written about a call."""
        return Counter(fact["type"] for fact in self.facts(tenant, call))

    def calls(self, tenant: str) -> list[dict[str, Any]]:
        """Rows of calls since the mark, each with how many segments and events it has."""
        rows = self.query(
            "SELECT c.id::text, c.status, c.outcome, c.answered_at, c.ended_at, c.talk, d.code,"
            " (SELECT count(*) FROM calls_segment s WHERE s.call_id = c.id AND s.kind = 'agent'),"
            " (SELECT count(*) FROM calls_callevent e WHERE e.call_id = c.id)"
            " FROM calls_call c LEFT JOIN calls_calldisposition d ON d.id = c.disposition_id"
            " WHERE c.last_seq > %s ORDER BY c.started_at",
            self._since.get(tenant, 0),
            schema=tenant,
        )
        names = ("id", "status", "outcome", "answered", "ended", "talk", "disposition", "segments", "events")
        return [dict(zip(names, row, strict=True)) for row in rows]

    # Judging.

    def mark(self, tenants: list[str]) -> None:
        """Forget what was before."""
        for tenant in tenants:
            rows = self.query("SELECT coalesce(max(seq), 0) FROM log_fact WHERE tenant = %s", tenant)
            self._since[tenant] = rows[0][0]

    def at_rest(self, placed: dict[str, int], seconds: float = 20.0) -> None:
        """Wait until nothing is left of any call and the rows have caught up with the log; then all accounts
        agree on `placed` calls per tenant."""
        until = time.monotonic() + seconds
        while True:
            wrong = self._left_over() + [line for tenant in placed for line in self._open_rows(tenant)]
            if not wrong:
                break
            assert time.monotonic() < until, f"not at rest after {seconds:g} s: {wrong}"
            time.sleep(0.25)
        for tenant, count in placed.items():
            self._agree(tenant, count)

    def _left_over(self) -> list[str]:
        channels = [f"channel {one['id']} {one['state']}" for one in self.ari("channels")]
        bridges = [f"bridge {one['id']}" for one in self.ari("bridges") if not one["id"].endswith(_ANCHOR)]
        return channels + bridges

    def _open_rows(self, tenant: str) -> list[str]:
        facts, rows = self.facts(tenant), self.calls(tenant)
        told = Counter(fact.get("call") for fact in facts)
        wrong = [f"row {one['id']} {one['status']}" for one in rows if not one["ended"]]
        wrong += [f"row {one['id']} lags" for one in rows if one["events"] < told[one["id"]]]
        ended = {fact["call"] for fact in facts if fact["type"] == "CallEnded"}
        arrived = {fact["call"] for fact in facts if fact["type"] == "CallArrived"}
        wrong += [f"call {call} has no end" for call in arrived - ended]
        return wrong + [f"call {call} has no row" for call in arrived - {one["id"] for one in rows}]

    def _agree(self, tenant: str, placed: int) -> None:
        facts = self.facts(tenant)
        sequence = [fact["seq"] for fact in facts]
        assert sequence == list(range(sequence[0], sequence[0] + len(sequence))) if sequence else True
        assert [f["at"] for f in facts] == sorted(f["at"] for f in facts), "the log's clock went back"
        assert [f["epoch"] for f in facts] == sorted(f["epoch"] for f in facts)
        per_call = Counter(f["call"] for f in facts if f["type"] == "CallArrived")
        ends = Counter(f["call"] for f in facts if f["type"] == "CallEnded")
        assert len(per_call) == placed, f"{placed} calls were placed, {len(per_call)} arrived"
        assert set(per_call.values()) <= {1} and per_call == ends
        rows = self.calls(tenant)
        assert sorted(one["id"] for one in rows) == sorted(per_call)
        for one in rows:
            assert one["events"] == len([f for f in facts if f.get("call") == one["id"]]), one
            assert one["segments"] == len(
                {f["offer"] for f in facts if f["type"] == "OfferMade" and f["call"] == one["id"]}
            )
        self._no_agent_twice(facts)

    def _no_agent_twice(self, facts: list[dict[str, Any]]) -> None:
        """Nobody is offered one call, or in one, while in another."""
        holds: dict[str, str] = {}
        for fact in facts:
            kind, agent = fact["type"], fact.get("agent")
            if kind in ("OfferMade", "CallConnected"):
                assert holds.get(agent or "", fact["call"]) == fact["call"], f"agent twice at {fact['seq']}"
                holds[agent or ""] = fact["call"]
            elif kind == "AgentLegEnded" or (kind == "OfferEnded" and fact["outcome"] != "accepted"):
                holds.pop(agent or "", None)

    def alive(self, tenant: str, desk: dict[str, Any], channels: int, bridged: bool) -> None:
        """One call of a tenant is up: Asterisk, rows and the desk's snapshot tell of the same one."""
        rows = [one for one in self.calls(tenant) if not one["ended"]]
        assert len(rows) == 1, rows
        call = rows[0]["id"]
        shown = desk["call"] or desk["offer"]
        assert shown and (shown.get("call") or shown["id"]) == call
        legs = [one["id"] for one in self.ari("channels") if one["id"].startswith(f"{call}.")]
        arrived = next(f for f in self.facts(tenant, call) if f["type"] == "CallArrived")
        callers = [one["id"] for one in self.ari("channels") if one["id"] == arrived["channel"]]
        assert len(legs) + len(callers) == channels, (legs, callers)
        mine = [one["channels"] for one in self.ari("bridges") if one["id"].startswith(f"{call}.")]
        if bridged:
            assert [sorted(members) for members in mine] == [sorted([*legs, *callers])]

    def unexplained(self, tenants: list[str], requests: list[Request]) -> list[str]:
        """Commands that Asterisk carried out and for which no committed fact stands."""
        facts = [fact for tenant in tenants for fact in self.facts(tenant)]
        made = {fact["offer"] for fact in facts if fact["type"] == "OfferMade"}
        bridges = {fact["bridge"] for fact in facts if fact["type"] == "CallConnected"}
        callers = {fact["channel"] for fact in facts if fact["type"] == "CallArrived"}
        ended = {fact["call"] for fact in facts if fact["type"] == "CallEnded"}
        owner = {fact["channel"]: fact["call"] for fact in facts if fact["type"] == "CallArrived"}
        over = {
            fact.get("offer") or fact.get("leg")
            for fact in facts
            if fact["type"] in ("OfferEnded", "AgentLegEnded")
        }
        wrong = []
        for one in requests:
            if not one.acts or one.over != "socket" or one.status // 100 != 2:
                continue
            kind, name, *rest = one.path.split("?")[0].split("/")
            verb = rest[0] if rest else ""
            if kind == "channels" and name == "create":
                fine = one.body["channelId"] in made
            elif kind == "bridges":
                fine = name in bridges
            elif one.method == "DELETE" and not verb:
                fine = name in over or owner.get(name) in ended
            else:
                fine = name in made or name in callers
            if not fine:
                wrong.append(f"{one.method} {one.path}")
        return wrong
