"""Contacts over REST: the resource itself, and what one does with a contact."""

from __future__ import annotations

import uuid
from typing import Any

from django.core import signing
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from web.shared.api import etags, reads
from web.shared.api.filters import Filter
from web.shared.api.problems import BadCursor, FieldError, Malformed, NotFound
from web.shared.api.viewsets import ResourceViewSet
from web.shared.core import audit, timeline
from web.tenant.contacts import (
    anonymity,
    consents,
    duplicates,
    erasing,
    links,
    merging,
    queries,
    reach,
    searching,
    services,
)
from web.tenant.contacts.api import serializers as bodies
from web.tenant.contacts.choices import Reach
from web.tenant.contacts.models import Contact, ContactConsent
from web.tenant.contacts.permissions import CONTACTS_VIEW_SENSITIVE
from web.tenant.contacts.phone_numbers import guess_e164

_INSTANT = {"type": "string", "format": "date-time"}
_ID = {"type": "string", "format": "uuid"}
_BOOLEAN = {"type": "boolean"}


class MergedAway(NotFound):
    """`merged_into` is the id that answers now."""

    code = "merged"
    title = "This contact was merged into another"
    meaning = "`merged_into` is the contact that has everything now; ask for that one."


def _tagged(queryset: QuerySet[Contact], text: str) -> QuerySet[Contact]:
    for tag in text.split(","):
        queryset = queryset.filter(tags__contains=[tag])
    return queryset


class ContactViewSet(ResourceViewSet):
    """People, and the numbers they call from."""

    queryset = queries.with_lists(Contact.objects.all())
    serializer_class = bodies.ContactBody
    audited_read = True
    filters = {
        "q": Filter(apply=searching.search),
        "phone": Filter(apply=queries.with_number),
        "email": Filter("email"),
        "tag": Filter(apply=_tagged),
        "group": Filter("group_rows__group", schema=_ID),
        "preferred_language": Filter("preferred_language", many=True),
        "is_anonymous": Filter("is_anonymous", schema=_BOOLEAN),
        "legal_hold": Filter("legal_hold", schema=_BOOLEAN),
        "is_active": Filter("is_active", schema=_BOOLEAN),
        "created_at": Filter("created_at", ranges=True, schema=_INSTANT),
        "updated_at": Filter("updated_at", ranges=True, schema=_INSTANT),
        "date_of_birth": Filter("date_of_birth", ranges=True, schema={"type": "string", "format": "date"}),
    }
    sort_fields = {
        "created_at": "created_at",
        "updated_at": "updated_at",
        "last_name": "last_name",
        "first_name": "first_name",
    }

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """A filter must not tell whose number or name an anonymous contact has."""
        asked = self.request.query_params
        telling = {"phone", "email"} & set(asked) or "name" in asked.get("sort", "")
        if telling and not self.viewer.may(CONTACTS_VIEW_SENSITIVE):
            queryset = queryset.filter(is_anonymous=False)
        return super().filter_queryset(queryset)

    def _row(self, queryset: QuerySet[Contact]) -> Contact:
        try:
            found: Contact = super()._row(queryset)
        except NotFound:
            target = self._merged_into()
            if target is None:
                raise
            raise MergedAway(merged_into=str(target)) from None
        return found

    def _merged_into(self) -> Any:
        try:
            return merging.merged_into(_uuid(self.kwargs["pk"]))
        except ValueError:
            return None

    def _kept_object(self) -> Contact:
        """As get_object, for a deleted contact, too: what is kept of a person is theirs to ask for."""
        kept = Contact.all_objects.filter(merged_into=None, erased_at=None)
        return self._row(self.visible(kept))

    def perform_create(self, values: dict[str, Any]) -> Contact:
        phones, addresses = _phones(values), _addresses(values)
        made = services.contact_create(
            actor=self.actor,
            values=values,
            phones=phones or [],
            addresses=addresses or [],
            region=self._region(),
        )
        return self._shown(made)

    def perform_update(self, row: Contact, values: dict[str, Any]) -> Contact:
        phones, addresses = _phones(values, row, self._region()), _addresses(values)
        changed = services.contact_update(
            actor=self.actor,
            contact=row,
            values=values,
            phones=phones,
            addresses=addresses,
            region=self._region(),
        )
        return self._shown(changed)

    def perform_destroy(self, row: Contact) -> None:
        services.contact_delete(actor=self.actor, contact=row)

    def _shown(self, contact: Contact) -> Contact:
        return queries.with_lists(Contact.objects.all()).get(pk=contact.pk)

    def _region(self) -> str:
        request: Any = self.request._request
        return str(request.tenant.region)

    # --- around a contact ----------------------------------------------------------------------------------

    @extend_schema(
        responses=bodies.TimelineAnswer,
        filters=False,
        operation_id="contacts_timeline",
        parameters=[
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
            OpenApiParameter("cursor", str),
        ],
    )
    @action(detail=True, pagination_class=None, url_path="timeline", url_name="timeline")
    def timeline(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Everything that happened with this person, newest first: calls, messages, cases, changes."""
        contact, limit = self.get_object(), _limit(request)
        salt = f"timeline:{contact.pk}"
        before = _position(request.query_params.get("cursor", ""), salt)
        found = timeline.read("contact", contact.pk, self.viewer, before=before, limit=limit + 1)
        page = found[:limit]
        cursor = None
        if len(found) > limit:
            at, pk = page[-1].position
            cursor = signing.dumps([at.isoformat(), pk], salt=salt)
        body = bodies.EntryBody(page, many=True).data
        return Response({"data": body, "next_cursor": cursor, "has_more": cursor is not None})

    @extend_schema(
        responses=bodies.ReachAnswer,
        filters=False,
        operation_id="contacts_reachability",
        parameters=[
            OpenApiParameter("kind", str, enum=Reach.values),
            OpenApiParameter("at", _INSTANT),
        ],
    )
    @action(detail=True, pagination_class=None, url_path="reachability", url_name="reachability")
    def reachability(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Whether, how and on which number this person may be reached now (or `at`), and if not, why."""
        contact, at = self.get_object(), _moment(request)
        asked = request.query_params.get("kind")
        if asked and asked not in Reach.values:
            raise _malformed("kind", f"One of: {', '.join(Reach.values)}.")
        found = reach.everything(contact, at, [asked] if asked else list(Reach.values))
        masked = contact.is_anonymous and not self.viewer.may(CONTACTS_VIEW_SENSITIVE)
        data = [_reach(one, masked) for one in found]
        body = bodies.ReachAnswer({"time_zone": reach.zone_of(contact), "at": at, "data": data})
        return Response(body.data)

    @extend_schema(responses=bodies.ConsentsAnswer, filters=False, operation_id="contacts_consents_list")
    @action(detail=True, pagination_class=None, url_path="consents", url_name="consents")
    def consents(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Every consent on record, newest first; of each purpose the newest by `at` counts."""
        rows = ContactConsent.objects.filter(contact=self.get_object()).order_by("-at", "-id")[:1000]
        body = bodies.ConsentBody(rows, many=True, context={"viewer": self.viewer})
        return Response({"data": body.data, "next_cursor": None, "has_more": False})

    @extend_schema(
        request=bodies.ConsentBody,
        responses={201: bodies.ConsentBody},
        operation_id="contacts_consents_create",
    )
    @consents.mapping.post
    def consent_record(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Record what this person agreed to, refused or withdrew."""
        contact = self.get_object()
        body = bodies.ConsentBody(data=request.data)
        body.is_valid(raise_exception=True)
        made = consents.consent_record(actor=self.actor, contact=contact, values=body.validated_data)
        return Response(bodies.ConsentBody(made).data, status=201)

    @extend_schema(responses=bodies.RelativesAnswer, filters=False, operation_id="contacts_relationships_of")
    @action(detail=True, pagination_class=None, url_path="relationships", url_name="relationships")
    def relationships(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Who stands how to this person: `relationship_type` is what the other one is to them."""
        rows = queries.relatives(self.get_object())
        body = bodies.RelativeBody(rows, many=True, context={"viewer": self.viewer})
        return Response({"data": body.data, "next_cursor": None, "has_more": False})

    # --- duplicates, merging -------------------------------------------------------------------------------

    @extend_schema(
        responses=bodies.DuplicatesAnswer,
        filters=False,
        operation_id="contacts_duplicates",
        parameters=[
            OpenApiParameter("phone", str),
            OpenApiParameter("name", str),
            OpenApiParameter("email", str),
            OpenApiParameter("date_of_birth", {"type": "string", "format": "date"}),
            OpenApiParameter("except", _ID),
        ],
    )
    @action(detail=False, pagination_class=None, url_path="duplicates", url_name="duplicates")
    def duplicates(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Who this may be already, likeliest first, with the reasons. For use while somebody types."""
        asked = request.query_params
        for name in asked:
            if name not in ("phone", "name", "email", "date_of_birth", "except") or "\x00" in asked[name]:
                raise _malformed(name, "There is no such parameter, or it cannot be read.")
        unmasked = self.viewer.may(CONTACTS_VIEW_SENSITIVE)
        born = _date(asked.get("date_of_birth", "")) if unmasked else None
        try:
            but = _uuid(asked["except"]) if asked.get("except") else None
        except ValueError:
            raise _malformed("except", "An id.") from None
        found = duplicates.find(
            phone=asked.get("phone", "")[:40],
            name=asked.get("name", "")[:200],
            email=asked.get("email", "")[:254],
            date_of_birth=born,
            region=self._region(),
            unmasked=unmasked,
            but=but,
        )
        body = bodies.DuplicateBody(found, many=True, context=self.get_serializer_context())
        return Response({"data": body.data})

    @extend_schema(request=bodies.MergeAsk, responses={200: bodies.MergeBody}, operation_id="contacts_merge")
    @action(detail=True, methods=["post"], url_path="merge", url_name="merge")
    def merge(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Merge another contact into this one. Can be undone at `merges/{id}/undo/`."""
        contact = self.get_object()
        body = bodies.MergeAsk(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        made = merging.merge(
            actor=self.actor, winner_id=contact.pk, loser_id=asked["other"], fields=asked["fields"]
        )
        return Response(bodies.MergeBody(made).data)

    # --- hold, erasure, export -----------------------------------------------------------------------------

    @extend_schema(request=bodies.HoldBody, responses=bodies.ContactBody, operation_id="contacts_hold")
    @action(detail=True, methods=["post"], url_path="hold", url_name="hold")
    def hold(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Put this person under legal hold: nothing about them is erased until it is released."""
        body = bodies.HoldBody(data=request.data)
        body.is_valid(raise_exception=True)
        row = services.hold_set(
            actor=self.actor, contact=self.get_object(), reason=body.validated_data["reason"]
        )
        return self.answer(self._shown(row))

    @extend_schema(request=None, responses={200: bodies.ContactBody}, operation_id="contacts_release")
    @hold.mapping.delete
    def release(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """End the legal hold."""
        with transaction.atomic():
            row = self.locked_object()
            etags.require_match(request, row)
            services.hold_release(actor=self.actor, contact=row)
        return self.answer(self._shown(row))

    @extend_schema(request=None, responses={200: bodies.ErasureAnswer}, operation_id="contacts_erase")
    @action(detail=True, methods=["post"], url_path="erase", url_name="erase")
    def erase(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Erase this person everywhere, for good. 409 `legal_hold` names who holds and why."""
        contact = self._kept_object()
        rows = erasing.erase(actor=self.actor, contact_id=contact.pk)
        return Response({"id": str(contact.pk), "rows": rows})

    @extend_schema(request=None, responses={200: bodies.ExportAnswer}, operation_id="contacts_export")
    @action(detail=True, methods=["post"], url_path="export", url_name="export")
    def export(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Everything that every part knows about this person, for themselves. Written to the audit trail."""
        contact = self._kept_object()
        with transaction.atomic():
            audit.record(actor=self.actor, action="export", obj=contact)
            data = erasing.export(contact)
        return Response({"contact": str(contact.pk), "exported_at": timezone.now(), "data": data})

    @extend_schema(
        request=bodies.AnonymousAsk,
        responses={200: bodies.ContactBody, 201: bodies.ContactBody},
        operation_id="contacts_anonymous",
    )
    @action(detail=False, methods=["post"], url_path="anonymous", url_name="anonymous")
    def anonymous(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The anonymous contact of a number: the same one each time, made (201) the first time."""
        body = bodies.AnonymousAsk(data=request.data)
        body.is_valid(raise_exception=True)
        contact, made = services.anonymous_ensure(
            actor=self.actor, number=body.validated_data["number"], region=self._region()
        )
        reads.row_shown(self.actor, contact)
        headers = {"Location": f"/api/v1/contacts/{contact.pk}/"}
        return self.answer(self._shown(contact), status=201 if made else 200, headers=headers)


def _phones(
    values: dict[str, Any], row: Contact | None = None, region: str = ""
) -> list[services.PhoneValues] | None:
    """Take `phone` and `phones` out of the values; None when neither was named."""
    phone: str | None = values.pop("phone", None)
    phones: list[services.PhoneValues] | None = values.pop("phones", None)
    if phones is not None or phone is None:
        return phones
    others: list[services.PhoneValues] = [
        {"number": kept.number}
        for kept in (queries.listed(row, "phones") if row is not None else [])
        if not kept.is_primary and kept.number != guess_e164(phone, region)
    ]
    return [{"number": phone, "is_primary": True}, *others] if phone else others


def _addresses(values: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Take `addresses` out of the values, each place checked; None when they were not named."""
    rows: list[dict[str, Any]] | None = values.pop("addresses", None)
    if rows is not None:
        known = queries.known_locations(one["location_id"] for one in rows if one.get("location_id"))
        for place, one in enumerate(rows):
            if one.get("location_id") and one["location_id"] not in known:
                raise links.unknown(f"addresses/{place}/location")
    return rows


def _reach(one: reach.Reachable, masked: bool) -> dict[str, Any]:
    number = None if one.phone is None else one.phone.number
    if masked and number is not None:
        number = anonymity.mask(number)
    return {
        "kind": one.kind,
        "number": number,
        "allowed": one.allowed,
        "reason": one.reason,
        "next_at": one.next_at,
        "conceal_caller": one.conceal_caller,
    }


def _uuid(text: str) -> Any:
    return uuid.UUID(text)


def _malformed(name: str, detail: str) -> Malformed:
    return Malformed(detail, errors=[FieldError(f"?{name[:64]}", "bad_value", detail)])


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "50")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:5]) <= 200):
        raise _malformed("limit", "1 to 200.")
    return int(text)


def _position(cursor: str, salt: str) -> Any:
    if not cursor:
        return None
    try:
        at, pk = signing.loads(cursor, salt=salt)
        return parse_datetime(at), pk
    except (signing.BadSignature, ValueError, TypeError):
        raise BadCursor() from None


def _moment(request: Request) -> Any:
    text = request.query_params.get("at")
    if not text:
        return timezone.now()
    try:
        found = parse_datetime(text.replace(" ", "+"))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise _malformed("at", "An instant with its offset, such as 2026-01-31T08:00:00Z.")
    return found


def _date(text: str) -> Any:
    if not text:
        return None
    try:
        found = parse_date(text)
    except ValueError:
        found = None
    if found is None:
        raise _malformed("date_of_birth", "A day, such as 2010-01-31.")
    return found
