"""Finding cases by words: PostgreSQL's full-text search behind a protocol that another engine could fill.

A query that looks like a number finds by its beginning. Otherwise words are looked up in the tenant's
language (`"a phrase"`, `or` and `-not` work); when no case has them, titles that are alike do.

What is found is narrowed and sorted as every list is, newest first: nothing is ranked, because ranking reads
the words of all that match before it can show the first page. So how the rows are found is decided by how
many there are. Up to FEW, the index on words gives their ids, and their rows are fetched and sorted, which
costs microseconds for each. More than that are met soon when cases are read in the list's order, and each is
asked whether it has the words; only words that very many cases have and all of them are old take long then.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.search import SearchQuery
from django.db import connection
from django.db.models import Func, Q, QuerySet, TextField, UUIDField, Value

from web.shared.tenants.context import current_tenant_id
from web.tenant.cases.models import Case, CaseCounter, CaseSearch

MAX_LENGTH, MAX_WORDS = 200, 5
REINDEX_BATCH = 500
FEW = 20_000
_NUMBER = re.compile(r"\A[0-9]{4}-[0-9]{0,12}\Z|\A[0-9]{1,12}\Z")


class SearchBackend(Protocol):
    def narrow(self, queryset: QuerySet[Case], text: str) -> QuerySet[Case]:
        """The rows of `queryset` that `text` finds; ValueError when it cannot be searched for."""
        ...


class PostgresSearch:
    def narrow(self, queryset: QuerySet[Case], text: str) -> QuerySet[Case]:
        text = " ".join(text.split())
        if not text or len(text) > MAX_LENGTH:
            raise ValueError("1 to 200 characters")
        if _NUMBER.match(text):
            return queryset.filter(_number(text))
        found = CaseSearch.objects.filter(vector=_words(text)).values("pk")
        count = found[: FEW + 1].count()
        if count:
            rows: Any = _fetched_first(found) if count <= FEW else found
            return queryset.filter(pk__in=rows)
        for word in text.split()[:MAX_WORDS]:
            queryset = queryset.filter(title__trigram_word_similar=word)
        return queryset


backend: SearchBackend = PostgresSearch()


def search(queryset: QuerySet[Case], text: str) -> QuerySet[Case]:
    """What the list's `q` does."""
    return backend.narrow(queryset, text)


def language_config(tenant_id: str) -> str:
    """The text search configuration that this tenant's language asks for. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT case_text_config(%s)::text", [tenant_id])
        return str(cursor.fetchone()[0])


# Whether some case is indexed in another language than the tenant's; for `tenants_where`.
_WANTED = "(SELECT case_text_config(current_setting('murima.tenant'))::text)"
IS_STALE = (
    f"EXISTS (SELECT FROM cases_casesearch WHERE config < {_WANTED})"  # noqa: S608 - nothing from outside
    f" OR EXISTS (SELECT FROM cases_casesearch WHERE config > {_WANTED})",
    (),
)


def _stale(tenant_id: str) -> QuerySet[CaseSearch]:
    # Two ranges of the index on `config`, where "different" would read the whole table.
    config = language_config(tenant_id)
    return CaseSearch.objects.filter(Q(config__lt=config) | Q(config__gt=config))


def reindex_some(tenant_id: str) -> int:
    """Make anew the words of cases that were indexed in another language; returns how many were done."""
    stale = list(_stale(tenant_id).values_list("pk", flat=True)[:REINDEX_BATCH])
    with connection.cursor() as cursor:
        for pk in stale:
            cursor.execute("SELECT case_words_write(%s, %s)", [pk, tenant_id])
    return len(stale)


def _fetched_first(found: QuerySet[CaseSearch, Any]) -> Func:
    """The ids in `found` as a set that PostgreSQL makes before it looks at a case. They stay there: thousands
    of ids sent back as parameters take longer than the search."""
    template = "(SELECT unnest(%(expressions)s))"
    return Func(ArraySubquery(found), template=template, output_field=UUIDField())


def _number(text: str) -> Q:
    """The beginning of a number; or the count alone, of any year that has one."""
    if "-" in text:
        return Q(case_number__startswith=text)
    years = CaseCounter.objects.values_list("year", flat=True)
    found = Q(case_number__in=[f"{year}-{int(text):06d}" for year in years])
    return found | Q(case_number__startswith=f"{text}-") if len(text) == 4 else found


def _words(text: str) -> SearchQuery:
    config = language_config(str(current_tenant_id()))
    plain = Func(Value(text), function="extensions.unaccent", output_field=TextField())
    return SearchQuery(plain, config=config, search_type="websearch")
