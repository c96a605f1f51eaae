"""Celery: Redis as the broker; tasks from the apps' tasks.py, each naming its tenant (see core.tasks)."""

from __future__ import annotations

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
app = Celery("murima")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_ready.connect  # type: ignore[untyped-decorator]
@beat_init.connect  # type: ignore[untyped-decorator]
def _serve_metrics(**_: Any) -> None:
    from web.shared.core.metrics import serve_metrics

    serve_metrics()


@worker_ready.connect  # type: ignore[untyped-decorator]
def _leave_the_code_alone(**_: Any) -> None:
    """What was imported stays for ever: the collector need not walk through all of it each time.

    An import makes so many objects that full collections come often, and its rows wait for each of them.
    """
    gc.collect()
    gc.freeze()
