"""What a web process does before it serves: config/asgi.py."""

from __future__ import annotations

import os
import subprocess
import sys

SAY = """
import gc, sys
import config.asgi
views = [name for name in sys.modules if name.startswith("web.tenant.") and name.endswith(".api.views")]
print(gc.get_freeze_count() > 100_000, len(gc.get_objects()) < 20_000, len(views) > 5)
"""


def test_a_process_that_serves_has_its_views_loaded_and_out_of_the_collectors_way() -> None:
    environment = {**os.environ, "MURIMA_METRICS_BIND": ""}
    done = subprocess.run(
        [sys.executable, "-c", SAY], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["True", "True", "True"], done.stderr[-2000:]
