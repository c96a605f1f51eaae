"""Django's tests share the fixtures of fixtures.py; so do other packages that need tenants."""

from tests.web.fixtures import *  # noqa: F403
