"""JSON bodies, strictly: UTF-8, no NaN, an object at the top unless a view says otherwise."""

from __future__ import annotations

from rest_framework.parsers import JSONParser


class StrictJSONParser(JSONParser):
    strict = True


class MergePatchParser(StrictJSONParser):
    """RFC 7396: what is named is set, null empties, what is not named stays."""

    media_type = "application/merge-patch+json"
