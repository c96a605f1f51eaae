"""Development: plain HTTP on loopback, cookies without Secure, static files straight from the tree."""

from config.settings.base import *  # noqa: F403

DEBUG = True
WHITENOISE_AUTOREFRESH = True
