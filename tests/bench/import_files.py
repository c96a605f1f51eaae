"""The files that tests.bench.imports uploads, and what has to come of each."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass
from datetime import date, timedelta

from tests.bench.domain import FIRST, LAST, WORDS

BAD_EVERY = 20
COLUMNS = (
    "first_name", "last_name", "email", "phone", "phones", "organization", "address", "date_of_birth",
    "preferred_language", "tags",
)  # fmt: skip
BAD = (
    {"first_name": ""},
    {"email": "not an address"},
    {"phone": "12"},
    {"date_of_birth": "2099-01-01"},
    {"preferred_language": "much longer than ten"},
)
"""What a bad row has in the place of something good; one after the other."""


@dataclass(frozen=True, slots=True)
class Run:
    """One import: `made` and `changed` contacts, `refused` rows are what has to come of it."""

    what: str
    text: bytes
    query: str
    result: dict[str, int]
    numbers: int
    """Phone numbers that it adds."""
    changed: int = 0


def runs(count: int, draw: random.Random) -> list[Run]:
    people = [_person(n, draw) for n in range(count)]
    others = [_person(count + n, draw) for n in range(count)]
    bad = range(BAD_EVERY - 1, count, BAD_EVERY)
    for turn, n in enumerate(bad):
        others[n] = {**others[n], **BAD[turn % len(BAD)]}
    good = count - len(bad)
    moved = [{**one, "organization": f"{one['organization']}, moved"} for one in people]
    good_numbers = sum(_numbers(one) for n, one in enumerate(others) if (n + 1) % BAD_EVERY)
    update = "?on_conflict=update"
    return [
        Run("new people", _csv(people), "", _result(created=count), sum(map(_numbers, people))),
        Run("the same file, update", _csv(people), update, _result(updated=count), 0),
        Run(
            "another organisation in each row, update", _csv(moved), update, _result(updated=count), 0, count
        ),
        Run(
            "new people, 5 % bad rows",
            _csv(others),
            "",
            _result(created=good, refused=len(bad)),
            good_numbers,
        ),
    ]


def _person(n: int, draw: random.Random) -> dict[str, str]:
    """One row as spreadsheets have them: national numbers, some of them two, some cells empty."""
    return {
        "first_name": draw.choice(FIRST),
        "last_name": f"{draw.choice(LAST)} {n}",
        "email": f"p{n}@example.org" if n % 2 else "",
        "phone": f"07{n * 7919 % 50_000_000:08d}",
        "phones": f"+2547{50_000_000 + n * 7919 % 50_000_000:08d}" if n % 4 == 0 else "",
        "organization": f"{draw.choice(WORDS)} office" if n % 3 else "",
        "address": f"P.O. Box {n}, Nairobi",
        "date_of_birth": f"{date(1950, 1, 1) + timedelta(draw.randrange(23_000))}",
        "preferred_language": draw.choice(("en", "sw")),
        "tags": ";".join(draw.sample(WORDS, draw.randrange(3))),
    }


def _numbers(row: dict[str, str]) -> int:
    return 2 if row["phones"] else 1


def _csv(rows: list[dict[str, str]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _result(created: int = 0, updated: int = 0, refused: int = 0) -> dict[str, int]:
    return {"created": created, "updated": updated, "skipped": 0, "refused": refused}
