"""Development: plain HTTP on loopback, cookies without Secure, static files straight from the tree."""

from config.env import env
from config.settings.base import *  # noqa: F403

# Off unless asked for: with it Django keeps every query in memory and shows its own error pages.
DEBUG = env.bool("MURIMA_DEBUG", default=False)
# The browser application may be built, and built again, while this runs.
WHITENOISE_ROOT = UI_ROOT  # noqa: F405
WHITENOISE_AUTOREFRESH = True
