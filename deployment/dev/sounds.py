"""Sounds made by arithmetic: music on hold, and the tones of the fallback's announcements.

8 kHz, 16 bit, mono. Each has its own frequencies, so that a test can tell by ear (a Goertzel filter)
what a caller hears; none of them is used by anything else.
"""

from __future__ import annotations

import math
import struct
import wave
from collections.abc import Sequence
from pathlib import Path

RATE = 8000
MUSIC_HZ = (440.0, 554.0, 659.0)
ANNOUNCEMENT_HZ = (620.0,)
BUSY_HZ = (900.0,)


def tone(path: Path, frequencies: Sequence[float], seconds: float, level: float = 0.25) -> None:
    """Write a chord of steady sines; whole periods, so that it can be repeated without a click."""
    frames = int(RATE * seconds)
    scale = 32767 * level / len(frequencies)
    steps = [2 * math.pi * f / RATE for f in frequencies]
    samples = (int(scale * sum(math.sin(step * n) for step in steps)) for n in range(frames))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(RATE)
        target.writeframes(struct.pack(f"<{frames}h", *samples))


def make(music: Path, prompts: Path) -> None:
    """Make what is missing: one piece of music and the prompts of the fallback."""
    if not (music / "hold.wav").exists():
        tone(music / "hold.wav", MUSIC_HZ, 8.0)
    if not (prompts / "closed.wav").exists():
        tone(prompts / "closed.wav", ANNOUNCEMENT_HZ, 3.0)
