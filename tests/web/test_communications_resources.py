"""Communications: channels, conversations, messages in and out, templates."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.web.api_cases import ReadCases, ResourceCases
from web.shared.core import erasure, timeline
from web.shared.core.actor import system
from web.shared.core.viewer import everything
from web.shared.records.models import DomainEvent
from web.tenant.communications import channel_types, providers, sending, services, tasks
from web.tenant.communications.models import (
    Channel,
    Conversation,
    ConversationSegment,
    Interaction,
    MessageTemplate,
)
from web.tenant.contacts import merging
from web.tenant.contacts import services as contact_services
from web.tenant.contacts.models import Contact

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")
URL = "/api/v1/communications"


class Gateway:
    """A provider that remembers what it was given, and fails when told to."""

    def __init__(self) -> None:
        self.sent: list[providers.Message] = []
        self.secrets: dict[str, str] = {}
        self.fails: list[Exception] = []

    def send(self, message: Any, configuration: Any, secrets: Any, timeout: float) -> str:
        if self.fails:
            raise self.fails.pop(0)
        self.sent.append(message)
        self.secrets = dict(secrets)
        return f"ext-{len(self.sent)}"


@pytest.fixture
def gateway():
    made = Gateway()
    providers.register("sms", made)
    yield made
    providers.unregister("sms")


def contact(first: str = "Amina", number: str = "0712345678", **phone: Any) -> Contact:
    phones: Any = [{"number": number, **phone}]
    return contact_services.contact_create(
        actor=ACTOR, values={"first_name": first}, phones=phones, region="KE"
    )


def channel(kind: str = "sms", **values: Any) -> Channel:
    whole = {"name": f"{kind} {uuid.uuid4().hex[:6]}", "type": kind, **values}
    return services.channel_create(actor=ACTOR, values=whole, secrets={})


def conversation(person: Contact | None = None, line: Channel | None = None, **values: Any) -> Conversation:
    whole = {"contact_id": (person or contact()).pk, "channel": line or channel(), **values}
    return services.conversation_create(actor=ACTOR, values=whole)


class TestChannels(ResourceCases):
    url = f"{URL}/channels/"
    created = {"name": "Texts", "type": "sms", "configuration": {"sender": "HELP"}}
    updated = {"name": "Short messages"}
    refused = {"name": ""}
    may_edit, may_view, may_delete, may_not = "admin", "viewer", "admin", ""
    sorts = ("created_at", "-name")

    def make(self, tenant: Any, **values: Any) -> str:
        return super().make(tenant, name=f"Texts {uuid.uuid4().hex[:8]}", **values)


class TestTemplates(ResourceCases):
    url = f"{URL}/templates/"
    created = {
        "name": "Welcome",
        "channel_type": "sms",
        "content": "Dear {{ name }}",
        "variables": ["name"],
    }
    updated = {"name": "Greeting you"}
    refused = {"content": ""}
    may_edit, may_view, may_delete, may_not = "supervisor", "viewer", "supervisor", "telephony_admin"

    def make(self, tenant: Any, **values: Any) -> str:
        return super().make(tenant, name=f"Welcome {uuid.uuid4().hex[:8]}", **values)


class TestConversations(ReadCases):
    url = f"{URL}/conversations/"
    may_view, may_not = "viewer", "telephony_admin"
    sorts = ("-last_interaction", "created_at")

    def make(self, tenant: Any, **values: Any) -> str:
        return str(conversation().pk)


class TestInteractions(ReadCases):
    url = f"{URL}/interactions/"
    may_view, may_not = "viewer", "telephony_admin"
    sorts = ("-timestamp", "created_at")

    def make(self, tenant: Any, **values: Any) -> str:
        person, line = contact(), channel()
        made, _ = services.message_receive(
            actor=ACTOR, channel=line, contact=person.pk, values={"content": "Hello"}
        )
        return str(made.pk)


def test_secrets_go_in_and_never_come_out(tenant, make_user, api):
    client = api(make_user("admin"))
    body = {
        "name": "Texts",
        "type": "sms",
        "configuration": {"sender": "X"},
        "secrets": {"api_key": "s3cr3t"},
    }
    made = client.post(f"{URL}/channels/", body)
    assert made.status_code == 201, made.content
    assert made.json()["secrets_set"] == ["api_key"] and b"s3cr3t" not in made.content
    row = Channel.objects.get()
    assert b"s3cr3t" not in bytes(row.secrets or b"") and channel_types.secrets_of(row) == {
        "api_key": "s3cr3t"
    }
    where = f"{URL}/channels/{row.pk}/"
    changed = client.patch(
        where, {"secrets": {"api_secret": "two", "api_key": None}}, HTTP_IF_MATCH=made["ETag"]
    )
    assert changed.status_code == 200 and changed.json()["secrets_set"] == ["api_secret"]
    assert "secrets" not in client.get(where).json()
    for wrong, pointer in (
        ({"configuration": {"api_key": "x"}}, "/configuration"),
        ({"secrets": {"password": "x"}}, "/secrets/password"),
        ({"configuration": []}, "/configuration"),
        ({"type": "email"}, "/type"),
    ):
        answer = client.patch(where, wrong, HTTP_IF_MATCH="*")
        assert answer.status_code == 422, wrong
        assert pointer in {one["pointer"] for one in answer.json()["errors"]}
    mail = {"name": "Mail", "type": "email", "configuration": {"port": 99999, "host": "a b"}}
    answer = client.post(f"{URL}/channels/", mail)
    assert {one["pointer"] for one in answer.json()["errors"]} == {
        "/configuration/host",
        "/configuration/port",
    }


def test_without_a_provider_nothing_is_stored_and_the_answer_says_so(tenant, make_user, api):
    talk = conversation()
    answer = api(make_user("supervisor")).post(
        f"{URL}/conversations/{talk.pk}/interactions/", {"content": "Hello"}
    )
    assert answer.status_code == 409 and answer.json()["code"] == "no_provider"
    assert not Interaction.objects.exists()


def test_a_message_is_queued_sent_once_and_its_delivery_followed(tenant, make_user, api, gateway):
    talk, client = conversation(), api(make_user("supervisor"))
    services.channel_update(actor=ACTOR, channel=talk.channel, values={}, secrets={"api_key": "k"})
    made = client.post(f"{URL}/conversations/{talk.pk}/interactions/", {"content": "Hello"})
    assert made.status_code == 201, made.content
    pk = made.json()["id"]
    assert made.json()["delivery_status"] == "queued" and made["Location"].endswith(f"/{pk}/")
    assert sending.send(pk) and not sending.send(pk)
    (message,) = gateway.sent
    assert (str(message.id), message.address, message.content) == (pk, "+254712345678", "Hello")
    assert gateway.secrets == {"api_key": "k"}
    row = Interaction.objects.get(pk=pk)
    assert (row.delivery_status, row.external_id) == ("sent", "ext-1")
    admin = api(make_user("admin"))
    report = f"{URL}/interactions/{pk}/delivery/"
    assert admin.post(report, {"status": "read"}).json()["delivery_status"] == "read"
    assert admin.post(report, {"status": "delivered"}).json()["delivery_status"] == "read"
    assert admin.post(report, {"status": "failed"}).status_code == 409
    assert client.post(report, {"status": "read"}).status_code == 403
    kinds = list(DomainEvent.objects.filter(object_type="interaction").values_list("type", flat=True))
    assert kinds == [
        "interaction.created", "interaction.queued", "interaction.sent", "interaction.delivery_changed"
    ]  # fmt: skip
    assert "Hello" not in str(list(DomainEvent.objects.values_list("data", flat=True)))


def test_failures_are_tried_again_later_and_not_for_ever(tenant, gateway):
    talk = conversation()
    with transaction.atomic():
        made = services.message_send(actor=ACTOR, conversation=talk, values={"content": "Hello"})
    gateway.fails = [
        providers.NotSent("busy"),
        RuntimeError("Amina's secret"),
        *[providers.NotSent("busy")] * 9,
    ]
    for tries in range(1, sending.MAX_TRIES + 1):
        assert not sending.send(made.pk)
        made.refresh_from_db()
        assert made.tries == tries
        if tries < sending.MAX_TRIES:
            assert made.delivery_status == "queued" and made.next_try_at and made.next_try_at > timezone.now()
            assert not sending.send(made.pk), "before its hour nobody tries"
            Interaction.objects.filter(pk=made.pk).update(next_try_at=timezone.now())
            assert sending.due() == [made.pk]
    assert (made.delivery_status, made.failure, sending.due()) == ("failed", "busy", [])
    again = services.message_send(actor=ACTOR, conversation=talk, values={"content": "Again"})
    gateway.fails = [providers.NotSent("blocked", final=True)]
    sending.send(again.pk)
    again.refresh_from_db()
    assert (again.delivery_status, again.tries) == ("failed", 1)


def test_safe_hours_flags_and_consents_are_obeyed(tenant, make_user, api, gateway):
    client = api(make_user("supervisor"))
    for phone, reason in (
        ({"safe_to_text": False}, "not_safe_to_text"),
        ({"safe_hours": {"monday": []}}, "outside_safe_hours"),
    ):
        talk = conversation(contact("A", "0733000111", **phone))
        answer = client.post(f"{URL}/conversations/{talk.pk}/interactions/", {"content": "Hello"})
        assert answer.status_code == 409, answer.content
        assert (answer.json()["code"], answer.json()["reason"]) == ("not_reachable", reason)
    stranger = conversation(contact("B", "0733000222"), address="+254799999999")
    answer = client.post(f"{URL}/conversations/{stranger.pk}/interactions/", {"content": "Hello"})
    assert answer.json()["reason"] == "not_their_number"
    assert gateway.sent == [] and not Interaction.objects.exists()


def test_what_comes_in_is_stored_once_and_opens_the_conversation(tenant, make_user, api):
    person, line, client = contact(), channel(), api(make_user("supervisor"))
    body = {"channel": str(line.pk), "contact": str(person.pk), "content": "Help", "external_id": "m1"}
    first = client.post(f"{URL}/interactions/", body)
    assert first.status_code == 201, first.content
    again = client.post(f"{URL}/interactions/", body)
    assert again.status_code == 200 and again.json()["id"] == first.json()["id"]
    talk = f"{URL}/conversations/{first.json()['conversation']}/"
    until = (timezone.now() + timedelta(hours=1)).isoformat()
    assert client.post(f"{talk}snooze/", {"until": until}).json()["status"] == "snoozed"
    second = client.post(f"{URL}/interactions/", {**body, "external_id": "m2"}).json()
    assert second["conversation"] == first.json()["conversation"]
    assert client.get(talk).json()["status"] == "open" and client.get(talk).json()["snoozed_until"] is None
    assert client.post(f"{talk}resolve/").json()["status"] == "resolved"
    refused = client.post(f"{talk}snooze/", {"until": until})
    assert refused.status_code == 409 and refused.json()["allowed"] == ["open"]
    assert (refused.json()["status"], refused.json()["state"]) == (409, "resolved")
    third = client.post(f"{URL}/interactions/", {**body, "external_id": "m3"}).json()
    assert third["conversation"] != first.json()["conversation"]
    listed = client.get(f"{talk}interactions/").json()["data"]
    assert [one["external_id"] for one in listed] == ["m1", "m2"]
    newest = client.get(f"{talk}interactions/?sort=-timestamp&limit=1").json()
    assert newest["data"][0]["external_id"] == "m2" and newest["has_more"]
    assert Interaction.objects.filter(direction="inbound", delivery_status="received").count() == 3
    events = DomainEvent.objects.filter(type="interaction.received")
    assert events.count() == 3


def test_ids_of_others_are_refused_alike_and_leave_nothing(tenant, other_tenant, make_user, api):
    mine, line, client = contact(), channel(), api(make_user("supervisor"))
    stranger = api(make_user("admin", tenant=other_tenant), tenant=other_tenant)
    theirs = stranger.post("/api/v1/contacts/", {"first_name": "Theirs"}).json()["id"]
    line_theirs = stranger.post(f"{URL}/channels/", {"name": "T", "type": "sms"}).json()["id"]
    good = {"channel": str(line.pk), "contact": str(mine.pk), "content": "Hello"}
    for name, foreign in (("contact", theirs), ("channel", line_theirs), ("attachments", [theirs])):
        unknown: Any = [str(uuid.uuid4())] if isinstance(foreign, list) else str(uuid.uuid4())
        answers = [client.post(f"{URL}/interactions/", {**good, name: one}) for one in (foreign, unknown)]
        assert [one.status_code for one in answers] == [422, 422]
        assert answers[0].json()["errors"] == answers[1].json()["errors"]
        assert answers[0].json()["errors"][0]["code"] == "does_not_exist"
    assert not Interaction.objects.exists() and not Conversation.objects.exists()
    for name, foreign in (("contact", theirs), ("case", theirs), ("channel", line_theirs)):
        body = {"channel": str(line.pk), "contact": str(mine.pk), name: foreign}
        assert client.post(f"{URL}/conversations/", body).status_code == 422


def test_people_see_their_own_and_what_is_nobodys_yet(tenant, make_user, api):
    agent, other = make_user("agent"), make_user("agent")
    free, own, taken = conversation(), conversation(), conversation()
    services.conversation_assign(actor=ACTOR, conversation=own, user=agent.pk)
    services.conversation_assign(actor=ACTOR, conversation=taken, user=other.pk)
    client = api(agent)
    listed = {one["id"] for one in client.get(f"{URL}/conversations/").json()["data"]}
    assert listed == {str(free.pk), str(own.pk)}
    assert client.get(f"{URL}/conversations/{taken.pk}/").status_code == 404
    for made in (own, taken):
        services.message_receive(
            actor=ACTOR, channel=made.channel, contact=made.contact_id, values={"content": "x"}
        )
    shown = client.get(f"{URL}/interactions/").json()["data"]
    assert {one["conversation"] for one in shown} == {str(own.pk)}
    where = f"{URL}/conversations/{free.pk}/assign/"
    assert client.post(where, {"user": str(other.pk)}).status_code == 403
    assert client.post(where, {"user": str(agent.pk)}).json()["assigned_to"] == str(agent.pk)
    assert api(other).get(f"{URL}/conversations/{free.pk}/").status_code == 404
    boss = api(make_user("supervisor"))
    assert boss.post(where, {"user": str(uuid.uuid4())}).status_code == 422
    assert boss.post(where, {"user": str(other.pk)}).status_code == 200
    assert boss.post(where, {"user": None}).json()["assigned_to"] is None
    segments = boss.get(f"{URL}/conversations/{free.pk}/segments/").json()["data"]
    assert [(one["owner"], one["ended_because"]) for one in segments] == [
        (str(agent.pk), "reassigned"), (str(other.pk), "released")
    ]  # fmt: skip
    assert not ConversationSegment.objects.filter(conversation=free, ended_at=None).exists()


def test_templates_take_declared_names_and_nothing_else(tenant, make_user, api, gateway):
    client = api(make_user("supervisor"))
    base = {"name": "T", "channel_type": "email", "format": "html", "variables": ["name"]}
    for content in ("{{ nam }}", "{{ name.x }}", "{% if x %}", "{{ name|safe }}", "{{", "{{ name() }}"):
        answer = client.post(f"{URL}/templates/", {**base, "content": content})
        assert answer.status_code == 422, content
    made = client.post(
        f"{URL}/templates/", {**base, "subject": "For {{ name }}", "content": "<p>{{name}}</p>"}
    ).json()
    where = f"{URL}/templates/{made['id']}/render/"
    done = client.post(where, {"variables": {"name": "<b>A\nB</b>"}}).json()
    assert done == {"subject": "For <b>A B</b>", "content": "<p>&lt;b&gt;A\nB&lt;/b&gt;</p>"}
    for values, code in (
        ({}, "required"),
        ({"name": "x", "other": 1}, "unknown_variable"),
        ({"name": {}}, "invalid"),
    ):
        answer = client.post(where, {"variables": values})
        assert answer.status_code == 422 and code in {one["code"] for one in answer.json()["errors"]}
    plain = client.post(f"{URL}/templates/", {**base, "channel_type": "sms", "content": "x"})
    assert plain.status_code == 422 and plain.json()["errors"][0]["pointer"] == "/format"
    sms = client.post(
        f"{URL}/templates/",
        {"name": "S", "channel_type": "sms", "content": "Dear {{ name }}", "variables": ["name"]},
    ).json()
    talk = conversation()
    url = f"{URL}/conversations/{talk.pk}/interactions/"
    sent = client.post(url, {"template": sms["id"], "variables": {"name": "Amina"}})
    assert sent.status_code == 201 and sent.json()["content"] == "Dear Amina", sent.content
    assert client.post(url, {"template": made["id"], "variables": {"name": "A"}}).status_code == 422
    assert client.post(url, {"content": " "}).status_code == 422
    assert MessageTemplate.objects.count() == 2


def test_sleepers_wake_at_their_hour(tenant, monkeypatch):
    early, late = conversation(), conversation()
    now = timezone.now()
    for row, hours in ((early, 1), (late, 5)):
        services.conversation_move(
            actor=ACTOR, conversation=row, status="snoozed", until=now + timedelta(hours=hours)
        )
    sent: list[Any] = []
    monkeypatch.setattr(tasks.of_tenant, "apply_async", lambda args, **options: sent.append(args))
    assert sending.wake_due() == 0 and tasks.sweep() == 0
    Conversation.objects.filter(pk=early.pk).update(snoozed_until=now)
    assert tasks.sweep() == 1 and sent == [(tenant.pk,)]
    assert sending.wake_due() == 1 and tasks.sweep() == 0
    early.refresh_from_db()
    late.refresh_from_db()
    assert (early.status, late.status) == ("open", "snoozed")


def test_lists_ask_a_constant_number_of_queries(tenant, make_user, api):
    client = api(make_user("supervisor"))
    counts = []
    for _ in range(2):
        for _ in range(4):
            talk = conversation(contact("A", f"07{uuid.uuid4().int % 10**8:08d}"))
            services.message_receive(
                actor=ACTOR, channel=talk.channel, contact=talk.contact_id, values={"content": "x"}
            )
        found = []
        for url in ("conversations/?expand=contact", "interactions/", "channels/"):
            with CaptureQueriesContext(connection) as said:
                assert client.get(f"{URL}/{url}").status_code == 200
            found.append(len(said))
        counts.append(found)
    assert counts[0] == counts[1]


def test_messages_follow_their_contact_and_die_with_them(tenant, gateway):
    person, other = contact(), contact("B", "0733000111")
    talk = conversation(person, address="+254712345678", subject="Secret Zanele")
    services.message_receive(
        actor=ACTOR,
        channel=talk.channel,
        contact=person.pk,
        values={"content": "I am Zanele", "metadata": {"profile": "Zanele"}, "external_id": "zanele-1"},
    )
    waiting = services.message_send(actor=ACTOR, conversation=talk, values={"content": "Dear Zanele"})
    made = merging.merge(actor=ACTOR, winner_id=other.pk, loser_id=person.pk)
    assert set(Interaction.objects.values_list("contact", flat=True)) == {other.pk}
    merging.undo(actor=ACTOR, merge_id=made.pk)
    assert set(Interaction.objects.values_list("contact", flat=True)) == {person.pk}
    entries = timeline.read("contact", person.pk, everything())
    assert [one.kind for one in entries if one.kind == "message"] == ["message", "message"]
    told = erasure.exporters["communications"](person.pk)
    assert [one["content"] for one in told] == ["I am Zanele", "Dear Zanele"]
    assert erasure.erasers["communications"](person.pk, ACTOR) == 3
    left = str(list(Interaction.all_objects.values())) + str(list(Conversation.all_objects.values()))
    assert "anele" not in left and "712345678" not in left
    waiting.refresh_from_db()
    assert waiting.delivery_status == "failed" and not sending.send(waiting.pk) and gateway.sent == []


def test_the_address_of_an_anonymous_contact_is_masked(tenant, make_user, api):
    person = contact_services.contact_create(
        actor=ACTOR,
        values={"first_name": "Zanele", "is_anonymous": True},
        phones=[{"number": "0799123457"}],
        region="KE",
    )
    talk = conversation(person, address="+254799123457")
    where = f"{URL}/conversations/{talk.pk}/?expand=contact"
    shown = api(make_user("agent")).get(where)
    assert shown.status_code == 200 and b"9912345" not in shown.content and b"Zanele" not in shown.content
    assert shown.json()["contact"]["name"].startswith("Caller ")
    assert api(make_user("case_worker")).get(where).json()["address"] == "+254799123457"
