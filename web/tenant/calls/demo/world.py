"""The demo's people, queues, numbers and contacts. All are invented.

The second organisation differs from the first in everything that could leak, so that a mistake is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

TRUNK = "trunk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    email: str
    name: str
    role: str
    queues: tuple[tuple[int, int], ...] = ()
    """(index of the queue, penalty)"""
    sip_phone: bool = False
    synthetic: bool = False
    """Run by `demo_calls`, without a desk: answers what nobody takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    slug: str
    name: str
    queues: tuple[tuple[str, str], ...]
    """(name, number that leads there)"""
    people: tuple[Person, ...]
    contacts: tuple[tuple[str, str, str, str], ...]
    """(first name, last name, number, language)"""
    dispositions: tuple[tuple[str, str, str], ...]
    """(code, name, category)"""


REASONS = (
    ("break", "Break"),
    ("lunch", "Lunch"),
    ("training", "Training"),
    ("meeting", "Meeting"),
    ("paperwork", "Paperwork"),
)
_BACK = 10
"""Penalty of the synthetic agents: asked when no person is free."""


def _people(slug: str, names: tuple[str, str, str, str, str]) -> tuple[Person, ...]:
    boss, supervisor, first, second, third = names
    both = ((0, 0), (1, 0))
    behind = ((0, _BACK), (1, _BACK))
    return (
        Person(email=f"admin@{slug}.example", name=boss, role="admin"),
        Person(email=f"supervisor@{slug}.example", name=supervisor, role="supervisor"),
        Person(email=f"agent1@{slug}.example", name=first, role="agent", queues=both),
        Person(email=f"agent2@{slug}.example", name=second, role="agent", queues=both),
        Person(email=f"agent3@{slug}.example", name=third, role="agent", queues=both, sip_phone=True),
        *(
            Person(
                email=f"synthetic{n}@{slug}.example",
                name=f"Synthetic agent {n}",
                role="agent",
                queues=behind,
                synthetic=True,
            )
            for n in (1, 2, 3)
        ),
    )


AMANI = Organisation(
    slug="amani",
    name="Amani Child Helpline",
    queues=(("Child helpline", "+254205550116"), ("Counselling", "+254205550117")),
    people=_people(
        "amani", ("Wanjiru Kamau", "Otieno Odhiambo", "Achieng Atieno", "Baraka Mwangi", "Zawadi Njeri")
    ),
    contacts=(
        ("Amina", "Hassan", "+254712550101", "sw"),
        ("Brian", "Kiptoo", "+254712550102", "en"),
        ("Cynthia", "Wambui", "+254712550103", "en"),
        ("David", "Mutua", "+254712550104", "sw"),
        ("Esther", "Chebet", "+254712550105", "en"),
        ("Farida", "Ali", "+254712550106", "sw"),
        ("George", "Omondi", "+254712550107", "en"),
        ("Halima", "Noor", "+254712550108", "sw"),
    ),
    dispositions=(
        ("COUNSELLED", "Counselled", "Help"),
        ("REFERRED", "Referred to a service", "Help"),
        ("CASE_OPENED", "Case opened", "Help"),
        ("INFORMATION", "Information given", "Information"),
        ("CALL_BACK", "Caller wants to be called back", "Follow-up"),
        ("SILENT", "Silent call", "No need"),
        ("PRANK", "Prank call", "No need"),
        ("WRONG_NUMBER", "Wrong number", "No need"),
    ),
)

UMOJA = Organisation(
    slug="umoja",
    name="Umoja Public Service Line",
    queues=(("General enquiries", "+254205550200"), ("Complaints", "+254205550201")),
    people=_people(
        "umoja", ("Peter Njoroge", "Grace Akinyi", "Hussein Abdi", "Irene Jepkosgei", "Joseph Kilonzo")
    ),
    contacts=(
        ("Kevin", "Barasa", "+254733550201", "en"),
        ("Lilian", "Moraa", "+254733550202", "sw"),
        ("Moses", "Ekiru", "+254733550203", "en"),
        ("Naomi", "Kerubo", "+254733550204", "en"),
        ("Omar", "Said", "+254733550205", "sw"),
        ("Purity", "Nkatha", "+254733550206", "en"),
        ("Rashid", "Juma", "+254733550207", "sw"),
        ("Salome", "Nyambura", "+254733550208", "en"),
    ),
    dispositions=(
        ("ANSWERED", "Question answered", "Enquiry"),
        ("DOCUMENTS", "Documents explained", "Enquiry"),
        ("COMPLAINT", "Complaint recorded", "Complaint"),
        ("ESCALATED", "Passed to the department", "Complaint"),
        ("CALL_BACK", "Caller wants to be called back", "Follow-up"),
        ("WRONG_NUMBER", "Wrong number", "No need"),
    ),
)

ORGANISATIONS = (AMANI, UMOJA)
