"""Tests: real servers, a cheap password hasher, nothing else different from production's behaviour."""

from config.settings.base import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_ROOT = UI_ROOT  # noqa: F405
WHITENOISE_AUTOREFRESH = True
