"""Fixed lists of contacts."""

from __future__ import annotations

from django.db import models


class PhoneLabel(models.TextChoices):
    MOBILE = "mobile", "Mobile"
    HOME = "home", "Home"
    WORK = "work", "Work"
    OTHER = "other", "Other"


class AddressKind(models.TextChoices):
    HOME = "home", "Home"
    WORK = "work", "Work"
    POSTAL = "postal", "Postal"
    TEMPORARY = "temporary", "Temporary"
    OTHER = "other", "Other"


class ContactMethod(models.TextChoices):
    ANY = "", "No preference"
    PHONE = "phone", "Phone"
    SMS = "sms", "SMS"
    WHATSAPP = "whatsapp", "WhatsApp"
    EMAIL = "email", "E-mail"


class Reach(models.TextChoices):
    """Ways to reach somebody; each asks for a flag of the number and for a consent."""

    CALL = "call", "A call"
    MESSAGE = "message", "A message left on voicemail or with somebody"
    TEXT = "text", "A text message"
    EMAIL = "email", "An e-mail"


class ConsentPurpose(models.TextChoices):
    CALL = "contact_by_call", "To be called"
    TEXT = "contact_by_text", "To get text messages"
    EMAIL = "contact_by_email", "To get e-mail"
    RECORDING = "recording", "Calls are recorded"
    DATA_PROCESSING = "data_processing", "Data is kept and used"
    SHARING = "sharing", "Data is shared with partners"
    REFERRAL = "referral", "To be referred to another agency"
    RESEARCH = "research", "Data is used for research"
    FEEDBACK = "feedback", "To be asked for feedback"


class ConsentStatus(models.TextChoices):
    GIVEN = "given", "Given"
    REFUSED = "refused", "Refused"
    WITHDRAWN = "withdrawn", "Withdrawn"


class ConsentSource(models.TextChoices):
    CALL = "call", "Said in a call"
    MESSAGE = "message", "Written in a message"
    PAPER = "paper", "Signed on paper"
    IN_PERSON = "in_person", "Said in person"
    WEB = "web", "Given on a web page"
    GUARDIAN = "guardian", "Given by a guardian"
    IMPORT = "import", "Imported"
    MERGE = "merge", "The stricter of two merged contacts"


class HoldReason(models.TextChoices):
    COURT_ORDER = "court_order", "Court order"
    LITIGATION = "litigation", "Litigation"
    INVESTIGATION = "investigation", "Investigation"
    SAFEGUARDING = "safeguarding", "Safeguarding"
    RETENTION_DUTY = "retention_duty", "Duty to retain"
    OTHER = "other", "Other"


class RelationshipType(models.TextChoices):
    """What the first contact is to the second."""

    PARENT = "parent", "Parent"
    CHILD = "child", "Child"
    GUARDIAN = "guardian", "Guardian"
    WARD = "ward", "Ward"
    GRANDPARENT = "grandparent", "Grandparent"
    GRANDCHILD = "grandchild", "Grandchild"
    CAREGIVER = "caregiver", "Caregiver"
    DEPENDANT = "dependant", "Dependant"
    TEACHER = "teacher", "Teacher"
    STUDENT = "student", "Student"
    EMPLOYER = "employer", "Employer"
    EMPLOYEE = "employee", "Employee"
    SPOUSE = "spouse", "Spouse"
    PARTNER = "partner", "Partner"
    SIBLING = "sibling", "Sibling"
    RELATIVE = "relative", "Relative"
    FRIEND = "friend", "Friend"
    NEIGHBOUR = "neighbour", "Neighbour"
    COLLEAGUE = "colleague", "Colleague"
    HOUSEHOLD = "household", "Same household"
    EMERGENCY_CONTACT = "emergency_contact", "Emergency contact"
    EMERGENCY_CONTACT_OF = "emergency_contact_of", "Has as emergency contact"
    OTHER = "other", "Other"


_PAIRS = (
    ("parent", "child"),
    ("guardian", "ward"),
    ("grandparent", "grandchild"),
    ("caregiver", "dependant"),
    ("teacher", "student"),
    ("employer", "employee"),
    ("emergency_contact", "emergency_contact_of"),
)
_INVERSE = dict(_PAIRS) | {b: a for a, b in _PAIRS}


def inverse(relationship_type: str) -> str:
    """What the second contact then is to the first: a parent's inverse is a child, a spouse's a spouse."""
    return _INVERSE.get(relationship_type, relationship_type)
