"""Cases, who is in them, what was said and changed, and the clocks that run on them."""

from web.tenant.cases.models.case import (
    Case,
    CaseCounter,
    CaseHistory,
    CaseLink,
    CaseMerge,
    CaseParty,
    CaseWatcher,
)
from web.tenant.cases.models.forms import CaseTypeForm
from web.tenant.cases.models.notes import CaseNote, CaseNoteVersion
from web.tenant.cases.models.saved import SavedView
from web.tenant.cases.models.search import CaseSearch
from web.tenant.cases.models.sla import (
    BusinessCalendar,
    CaseMoment,
    CaseSla,
    SlaEscalation,
    SlaPolicy,
    SlaRefold,
)

__all__ = [
    "BusinessCalendar",
    "Case",
    "CaseCounter",
    "CaseHistory",
    "CaseLink",
    "CaseMerge",
    "CaseMoment",
    "CaseNote",
    "CaseNoteVersion",
    "CaseParty",
    "CaseSearch",
    "CaseSla",
    "CaseTypeForm",
    "CaseWatcher",
    "SavedView",
    "SlaEscalation",
    "SlaPolicy",
    "SlaRefold",
]
