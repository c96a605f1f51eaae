"""Puts a compiled fallback where Asterisk reads it.

Files appear whole (written beside, then renamed) and are left alone when nothing changed. Afterwards
Asterisk has to load them: `RELOAD` names the modules for ARI's `PUT /asterisk/modules/<name>`, queues
first, because the dialplan refers to them.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from dialplan.checker import check
from dialplan.compiler import Fallback

RELOAD = ("app_queue.so", "pbx_config.so")
_STATIC = ("murima-announce",)


def install(fallback: Fallback, directory: Path) -> bool:
    """Write the fallback into Asterisk's `generated` directory; True when something changed.

    Raises ValueError when the checker finds anything wrong with it: then nothing is written.
    """
    findings = check(fallback.extensions, generated=True, known=_STATIC)
    if findings:
        raise ValueError(f"the compiled fallback is refused: {findings[0].rule} in line {findings[0].line}")
    changed = _write(directory / "queues-fallback.conf", fallback.queues)
    return _write(directory / "extensions-fallback.conf", fallback.extensions) or changed


def _write(file: Path, text: str) -> bool:
    if file.exists() and file.read_text() == text:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=".")
    with os.fdopen(descriptor, "w") as target:
        target.write(text)
        os.fchmod(descriptor, 0o644)
    Path(temporary).replace(file)
    return True
