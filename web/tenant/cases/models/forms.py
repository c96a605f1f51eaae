"""What is asked in a case of some type: a versioned JSON Schema per category.

A version never changes; publishing again makes the next one. A case pins the version it was written under.
Categories without a form of their own use the nearest one above them.
"""

from __future__ import annotations

from typing import Any

from django.db import models

from web.shared.core.models import BaseModel


class CaseTypeForm(BaseModel):
    event_name = "case_form"

    case_type = models.ForeignKey("reference_data.CaseCategory", on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField(editable=False)
    schema = models.JSONField()

    class Meta(BaseModel.Meta):
        constraints = [models.UniqueConstraint(fields=["case_type", "version"], name="one_form_per_version")]

    def event_data(self) -> dict[str, Any]:
        return {"case_type": str(self.case_type_id), "version": self.version}

    @property
    def sensitive(self) -> frozenset[str]:
        """Names of the fields that only holders of cases.view_sensitive see."""
        fields = self.schema.get("properties", {})
        return frozenset(name for name, one in fields.items() if one.get("x-sensitive") is True)
