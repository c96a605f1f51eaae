from django.db import models


class AccessType(models.TextChoices):
    """Each includes the ones before it."""

    VIEW = "view", "View"
    DOWNLOAD = "download", "Download"
    EDIT = "edit", "Edit"


class ScanStatus(models.TextChoices):
    PENDING = "pending", "Waiting for the scanner"
    CLEAN = "clean", "Clean"
    INFECTED = "infected", "Infected"
    FAILED = "failed", "Could not be scanned"
    SKIPPED = "skipped", "No scanner is configured"


READABLE = (ScanStatus.CLEAN, ScanStatus.SKIPPED)
