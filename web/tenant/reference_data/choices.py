"""Fixed lists of reference data."""

from __future__ import annotations

from django.db import models


class CategoryType(models.TextChoices):
    """How the items of a generic category hang together."""

    LIST = "LIST", "Flat list"
    TREE = "TREE", "Tree"
