"""The words of a case, for search: a row per case that the database itself keeps (migration 0002).

It is apart from the case so that lists do not read it and a note does not rewrite the case. `config` is the
text search configuration it was made with; rows made with another than the tenant's language asks for are
made anew by the sweep.
"""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from web.tenant.cases.models.case import Case


class CaseSearch(models.Model):
    case = models.OneToOneField(Case, on_delete=models.CASCADE, primary_key=True, related_name="search")
    config = models.CharField(max_length=40)
    vector = SearchVectorField()

    class Meta:
        indexes = [
            GinIndex(fields=["vector"], name="case_words"),
            models.Index(fields=["config"], name="case_words_config"),
        ]

    def __str__(self) -> str:
        return f"words of {self.case_id}"
