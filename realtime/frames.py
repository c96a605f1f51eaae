"""Text of one server frame, and of one refusal. `ts` is this process's clock; calls' times are the log's."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from realtime.messages import VERSION, Frame, Problem
from telephony.contract.clock import to_text

_encoder = msgspec.json.Encoder()

STATUS = {
    "malformed": (400, "The frame is not a message"),
    "invalid": (422, "The message does not have its shape"),
    "unknown_type": (404, "There is no such message"),
    "forbidden": (403, "Not allowed"),
    "throttled": (429, "Too many messages"),
    "no_answer": (504, "Nobody answered in time"),
    "unavailable": (503, "A part that this needs is away"),
    "expired": (408, "It came too late"),
    "unknown_agent": (404, "There is no such agent"),
    "unknown_call": (404, "There is no such call"),
    "not_yours": (403, "It belongs to somebody else"),
    "wrong_state": (409, "Not possible now"),
    "not_ready": (409, "Something is missing"),
    "fenced": (503, "The telephone side is changing hands"),
    "internal": (500, "Something went wrong here"),
}


def now_text() -> str:
    return to_text(time.time_ns() // 1000)


def frame(kind: str, data: Any, epoch: int, seq: int, answers: str | None = None) -> str:
    """JSON of a server frame; `answers` is the id of the client's message that it answers."""
    ready = Frame(
        v=VERSION,
        type=kind,
        epoch=epoch,
        seq=seq,
        ts=now_text(),
        data=data,
        id=msgspec.UNSET if answers is None else answers,
    )
    return _encoder.encode(ready).decode()


def problem(code: str, detail: str, request_id: str) -> Problem:
    """A refusal in REST's words. `detail` is ours, never what the client sent."""
    status, title = STATUS.get(code, (400, "Refused"))
    return Problem(
        type=f"/api/docs/errors/#{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        request_id=request_id,
    )
