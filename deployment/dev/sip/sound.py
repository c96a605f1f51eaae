"""Tones, u-law, and telling by arithmetic what somebody hears.

Sound is 8 kHz u-law in packets of 160 samples. The tables replace audioop, which newer Pythons lack.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

RATE = 8000
FRAME = 160


def _encode(sample: int) -> int:
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> (exponent + 3) & 0x0F) & 0xFF


def _decode(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 132 << (code >> 4 & 7)) - 132
    return -magnitude if code & 0x80 else magnitude


DECODED = tuple(_decode(code) for code in range(256))
SILENCE = bytes([_encode(0)]) * FRAME


def ulaw(samples: Iterable[float]) -> bytes:
    """u-law of samples between -1 and 1."""
    return bytes(_encode(int(32635 * max(-1.0, min(1.0, sample)))) for sample in samples)


def tone(frequency: float, seconds: float = 1.0, level: float = 0.4) -> bytes:
    """u-law of a steady sine; with whole periods in `seconds` it can be repeated without a click."""
    step = 2 * math.pi * frequency / RATE
    return bytes(_encode(int(32767 * level * math.sin(step * n))) for n in range(int(RATE * seconds)))


_BLOCK = 800


def strength(ulaw: bytes, frequency: float) -> float:
    """Share (0 to 1) of the sound's power that lies at `frequency`; 0 for silence.

    Taken over blocks of a tenth of a second, so that a lost packet's jump of phase does not count.
    """
    samples = [DECODED[code] for code in ulaw]
    total = sum(s * s for s in samples)
    if len(samples) < _BLOCK or total / len(samples) < 50.0**2:
        return 0.0
    blocks = (samples[i : i + _BLOCK] for i in range(0, len(samples) - _BLOCK + 1, _BLOCK))
    return min(1.0, sum(_power(block, frequency) for block in blocks) / total)


def _power(samples: list[int], frequency: float) -> float:
    """The part of the block's sum of squares that a sine of `frequency` explains (Goertzel)."""
    coefficient = 2 * math.cos(2 * math.pi * frequency / RATE)
    before, last = 0.0, 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    return 2 * (before * before + last * last - coefficient * before * last) / len(samples)


class Ear:
    """Collects what a leg hears, with the time (loop seconds) at which each packet came."""

    def __init__(self) -> None:
        self.packets: list[tuple[float, bytes]] = []

    def add(self, at: float, payload: bytes) -> None:
        """Remember one packet's payload."""
        self.packets.append((at, payload))

    def between(self, start: float, end: float) -> bytes:
        """What came between two times."""
        return b"".join(payload for at, payload in self.packets if start <= at < end)

    def count(self, start: float, end: float) -> int:
        """How many packets came between two times."""
        return sum(1 for at, _ in self.packets if start <= at < end)

    def hears(
        self, frequencies: Iterable[float], start: float, end: float, share: float = 0.15
    ) -> list[float]:
        """Those of `frequencies` that hold at least `share` of the power between two times."""
        sound = self.between(start, end)
        return [f for f in frequencies if strength(sound, f) >= share]

    def strongest(self, candidates: Sequence[float], start: float, end: float) -> float | None:
        """The candidate that is heard most between two times, None when none is."""
        sound = self.between(start, end)
        best = max(candidates, key=lambda f: strength(sound, f))
        return best if strength(sound, best) >= 0.15 else None
