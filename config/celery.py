"""Celery: Redis as the broker; tasks from the apps' tasks.py, each naming its tenant (see core.tasks)."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
app = Celery("murima")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
