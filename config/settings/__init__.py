"""`config.settings` is the settings of the kind of deployment named by MURIMA_ENV."""

import os

_KIND = os.environ.get("MURIMA_ENV", "development")

if _KIND == "production":
    from config.settings.prod import *  # noqa: F403
elif _KIND == "test":
    from config.settings.test import *  # noqa: F403
else:
    from config.settings.dev import *  # noqa: F403
