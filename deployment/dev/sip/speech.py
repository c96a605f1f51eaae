"""Something like speech, made by arithmetic: nobody's voice, so nobody's licence.

A buzz at the pitch of a voice goes through three resonances that move from vowel to vowel, in syllables of
changing length with pauses between phrases. It says nothing, and is heard at once as somebody talking.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from deployment.dev.sip.sound import FRAME, RATE, ulaw

# First three formants of a, e, i, o, u, in hertz.
_VOWELS = ((730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240))
_WIDTHS = (80.0, 110.0, 160.0)


def speech(seconds: float, pitch: float, seed: int = 0) -> bytes:
    """u-law of `seconds` of babble around `pitch` hertz (110: low, 210: high); whole packets."""
    chance = random.Random(seed)
    wanted = int(seconds * RATE) // FRAME * FRAME
    samples: list[float] = []
    while len(samples) < wanted:
        for _ in range(chance.randint(4, 9)):
            samples.extend(_syllable(chance, pitch * chance.uniform(0.88, 1.18)))
        samples.extend([0.0] * int(RATE * chance.uniform(0.25, 0.7)))
    loudest = max(abs(sample) for sample in samples) or 1.0
    return ulaw(0.5 * sample / loudest for sample in samples[:wanted])


def _syllable(chance: random.Random, pitch: float) -> Iterator[float]:
    length = int(RATE * chance.uniform(0.11, 0.26))
    filters = [_Resonance(f, w) for f, w in zip(chance.choice(_VOWELS), _WIDTHS, strict=True)]
    phase = 0.0
    for n in range(length):
        envelope = math.sin(math.pi * n / length) ** 0.6
        phase += pitch * (1 - 0.08 * n / length) / RATE
        buzz = 2 * (phase % 1.0) - 1 + chance.uniform(-0.05, 0.05)
        yield envelope * sum(one.pass_on(buzz) for one in filters)


class _Resonance:
    """A two-pole filter: rings at `frequency` with a bandwidth of `width` hertz."""

    def __init__(self, frequency: float, width: float) -> None:
        radius = math.exp(-math.pi * width / RATE)
        self._a = 2 * radius * math.cos(2 * math.pi * frequency / RATE)
        self._b = -radius * radius
        self._gain = 1 - radius
        self._last = self._before = 0.0

    def pass_on(self, sample: float) -> float:
        """One sample in, one out."""
        now = self._gain * sample + self._a * self._last + self._b * self._before
        self._before, self._last = self._last, now
        return now
