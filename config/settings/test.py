"""Tests: real servers, a cheap password hasher, nothing else different from production's behaviour."""

from config.settings.base import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_ROOT = UI_ROOT  # noqa: F405
WHITENOISE_AUTOREFRESH = True
# One person sends more requests here than anybody ever will; and what is logged is written when a test asks.
RATE_LIMIT_SCALE = 1000.0
REQUEST_LOG_SECONDS = 0
