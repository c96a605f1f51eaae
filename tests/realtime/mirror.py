"""What a client believes after the frames it got: the rule of the message shapes, and nothing else."""

from __future__ import annotations

import json
from typing import Any

OWN = ("talking", "held", "kept")


class Mirror:
    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.notices: list[str] = []
        self.pops: list[dict[str, Any]] = []
        self.withdrawn: list[dict[str, Any]] = []
        self.epoch = self.seq = 0
        self.snapshots = 0

    def take(self, text: str) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(text)
        assert frame["seq"] >= self.seq or frame["epoch"] != self.epoch or frame["type"] == "snapshot"
        if frame["epoch"]:
            self.epoch, self.seq = frame["epoch"], frame["seq"]
        getattr(self, "_" + frame["type"].replace(".", "_"), lambda data: None)(frame["data"])
        return frame

    def _snapshot(self, data: dict[str, Any]) -> None:
        self.snapshots += 1
        self.state = {
            "agent": data.get("agent"),
            "offer": data.get("offer"),
            "call": data.get("call"),
            "queues": {each["id"]: each for each in data["queues"]},
        }

    def _agent_state(self, data: dict[str, Any]) -> None:
        self.state["agent"] = data
        self._settle()

    def _offer_created(self, data: dict[str, Any]) -> None:
        self.state["offer"] = data

    def _offer_withdrawn(self, data: dict[str, Any]) -> None:
        self.withdrawn.append(data)
        if self.state["offer"] and self.state["offer"]["id"] == data["id"]:
            self.state["offer"] = None

    def _call_state(self, data: dict[str, Any]) -> None:
        known = self.state["call"]
        if data["state"] in (*OWN, "ended") or (known and known["id"] == data["id"]):
            self.state["call"] = data
        self._settle()

    def _queue_state(self, data: dict[str, Any]) -> None:
        self.state["queues"][data["id"]] = data

    def _pop(self, data: dict[str, Any]) -> None:
        self.pops.append(data)

    def _notice(self, data: dict[str, Any]) -> None:
        self.notices.append(data["code"])

    def _settle(self) -> None:
        """A call that is not in hand stays only while this agent writes it up."""
        call = self.state["call"]
        if call is not None and call["state"] not in OWN:
            wrap_up = self.state["agent"]["wrap_up"]
            if wrap_up is None or wrap_up["call"] != call["id"]:
                self.state["call"] = None

    @property
    def settled(self) -> dict[str, Any]:
        return self.state
