"""Text that came over a telephone line, made harmless to show: printable characters of one line, bounded.

The daemon strips too; this is the second lock on the same door. Markup needs nothing here: it is text, and
whoever shows it shows text.
"""

from __future__ import annotations

import unicodedata

LONGEST = 80
_BAD = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def name(text: str | None) -> str | None:
    """A name without control, direction and invisible characters; None when nothing is left."""
    if not text:
        return None
    kept = "".join(" " if each in "\t\r\n" else each for each in text)
    kept = "".join(each for each in kept if unicodedata.category(each) not in _BAD)
    return " ".join(kept.split())[:LONGEST] or None


def number(text: str | None) -> str | None:
    """Digits with an optional leading plus; None for anything else."""
    if not text:
        return None
    digits = text.removeprefix("+")
    whole = digits.isascii() and digits.isdigit() and len(digits) <= 32
    return text if whole else None
