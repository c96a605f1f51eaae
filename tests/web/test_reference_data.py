"""Reference data: five resources, trees without cycles, merges that lose nobody, defaults."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.api_cases import ResourceCases
from tests.web.kit_events import at_once, raised
from web.shared.api.problems import Conflict
from web.shared.core import events
from web.shared.core.actor import system
from web.shared.records.models import AuditEvent, DomainEvent
from web.shared.tenants.context import tenant_context
from web.tenant.reference_data import queries, references, services, trees
from web.tenant.reference_data.models import (
    CaseCategory,
    Location,
    Priority,
    ReferenceData,
    ReferenceDataCategory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.database]
ACTOR = system("tests")
BASE = "/api/v1/reference-data"


def make(model: Any, **values: Any) -> Any:
    return services.reference_create(model, actor=ACTOR, values=values)


def category(code: str, parent: Any = None, **values: Any) -> Any:
    return make(CaseCategory, code=code, name=code.title(), parent=parent, **values)


class TestCaseCategories(ResourceCases):
    url = f"{BASE}/case-categories/"
    created = {"name": "Neglect", "code": "neglect"}
    updated = {"name": "Neglect of a child"}
    refused = {"name": "", "code": "not a code"}
    sorts = ("created_at", "-sort_order", "name", "code")

    def make(self, tenant: Any, **values: Any) -> str:
        return super().make(tenant, code=uuid.uuid4().hex[:12], **values)


class TestPriorities(ResourceCases):
    url = f"{BASE}/priorities/"
    created = {"name": "Urgent", "level": 9, "color": "#FF0000", "sla_hours": 2}
    updated = {"name": "Very urgent", "sla_hours": 1}
    refused = {"color": "red", "sla_hours": -1}
    sorts = ("level", "-name")

    def make(self, tenant: Any, **values: Any) -> str:
        self.level = getattr(self, "level", 9) + 1
        return super().make(tenant, level=self.level, name=f"Urgent {self.level}", **values)


class TestLocations(ResourceCases):
    url = f"{BASE}/locations/"
    created = {"name": "Nairobi", "type": "state"}
    updated = {"name": "Nairobi City"}
    refused = {"type": "no such type at all, and too long"}
    sorts = ("name", "-sort_order")


class TestCategories(ResourceCases):
    url = f"{BASE}/categories/"
    created = {"name": "gender", "display_name": "Gender"}
    updated = {"display_name": "Sex"}
    refused = {"name": "Not A Name", "category_type": "HEAP"}
    sorts = ("name", "-created_at")

    def make(self, tenant: Any, **values: Any) -> str:
        return super().make(tenant, name=f"x{uuid.uuid4().hex[:12]}", **values)


class TestItems(ResourceCases):
    url = f"{BASE}/items/"
    created = {"category": "gender", "code": "female", "name": "Female"}
    updated = {"name": "Woman"}
    refused = {"name": "", "metadata": []}
    sorts = ("sort_order", "-name")

    @pytest.fixture(autouse=True)
    def _list(self, _parts: Any) -> None:
        for tenant in self.tenants:
            with tenant_context(tenant.pk):
                make(ReferenceDataCategory, name="gender", display_name="Gender")

    def make(self, tenant: Any, **values: Any) -> str:
        return super().make(tenant, code=uuid.uuid4().hex[:12], **values)


# --- codes, names, languages --------------------------------------------------------------------------------


def test_a_code_is_taken_once_and_free_again_after_deletion(tenant, make_user, api):
    boss = api(make_user("admin"))
    first = boss.post(f"{BASE}/case-categories/", {"name": "A", "code": "a"})
    again = boss.post(f"{BASE}/case-categories/", {"name": "B", "code": "a"})
    assert again.status_code == 422
    assert [(one["pointer"], one["code"]) for one in again.json()["errors"]] == [("/code", "unique")]
    boss.delete(f"{BASE}/case-categories/{first.json()['id']}/", HTTP_IF_MATCH="*")
    assert boss.post(f"{BASE}/case-categories/", {"name": "B", "code": "a"}).status_code == 201


def test_the_code_of_an_item_is_unique_in_its_category_only(tenant):
    one, other = (make(ReferenceDataCategory, name=name, display_name=name) for name in ("a", "b"))
    make(ReferenceData, category=one, code="x", name="X")
    make(ReferenceData, category=other, code="x", name="X")
    make(ReferenceData, category=one, name="no code")
    make(ReferenceData, category=one, name="no code either")
    with pytest.raises(ValidationError):
        make(ReferenceData, category=one, code="x", name="again")


def test_a_rename_keeps_the_id_and_what_points_there(tenant):
    row = category("old")
    child = category("child", row)
    services.reference_update(row, actor=ACTOR, values={"name": "New", "code": "new"})
    child.refresh_from_db()
    assert child.parent_id == row.pk and queries.by_code("case_category", "new").pk == row.pk
    assert queries.names("case_category", [row.pk]) == {row.pk: "New"}


def test_names_come_in_the_language_asked_for(tenant, make_user, api):
    client = api(make_user("admin"))
    body = {"name": "Neglect", "code": "n", "translations": {"sw": "Kutelekezwa", "fr-CA": "Négligence"}}
    made = client.post(f"{BASE}/case-categories/", body)
    assert made.status_code == 201, made.content
    where = made["Location"]
    for asked, label in (
        ("sw-KE, en", "Kutelekezwa"),
        ("de", "Neglect"),
        ("fr-ca", "Neglect"),
        ("", "Neglect"),
    ):
        answer = client.get(where, HTTP_ACCEPT_LANGUAGE=asked)
        assert answer.json()["name"] == "Neglect"
        if asked != "fr-ca":
            assert answer.json()["label"] == label
        assert "Accept-Language" in answer["Vary"]
    wrong: Any
    for wrong in ({"not a tag!": "x"}, {"sw": ""}, {"sw": ["x"]}, []):
        answer = client.post(f"{BASE}/case-categories/", {**body, "code": "m", "translations": wrong})
        assert answer.status_code == 422, wrong


def test_items_are_listed_by_the_name_of_their_category(tenant, make_user, api):
    services.defaults_load(ACTOR)
    client = api(make_user("viewer"))
    page = client.get(f"{BASE}/items/?category=gender").json()
    assert [one["code"] for one in page["data"]] == ["female", "male", "other", "unknown"]
    assert client.get(f"{BASE}/items/?category=nothing").json()["data"] == []
    found = client.get(f"{BASE}/case-categories/?q=neg&expand=parent").json()["data"]
    assert [(one["code"], one["parent"]["code"]) for one in found] == [("neglect", "protection")]
    whole = client.get(f"{BASE}/items/?category=gender&expand=category").json()["data"]
    assert {one["category"]["name"] for one in whole} == {"gender"}


# --- trees --------------------------------------------------------------------------------------------------


def test_a_row_never_lies_below_itself_and_trees_have_a_bound(tenant):
    chain = [category("c0")]
    for number in range(1, trees.MAX_DEPTH):
        chain.append(category(f"c{number}", chain[-1]))
    with pytest.raises(ValidationError) as told:
        category("deep", chain[-1])
    assert told.value.error_dict["parent"][0].code == "too_deep"
    for below in chain:
        with pytest.raises(ValidationError) as told:
            services.reference_update(chain[0], actor=ACTOR, values={"parent": below})
        assert told.value.error_dict["parent"][0].code == "cycle"
    other = category("other")
    with pytest.raises(ValidationError):
        services.reference_update(chain[0], actor=ACTOR, values={"parent": other})
    services.reference_update(chain[1], actor=ACTOR, values={"parent": other})
    assert queries.path("case_category", chain[3].pk) == [other.pk, *(one.pk for one in chain[1:4])]
    assert set(queries.subtree("case_category", chain[1].pk)) == {one.pk for one in chain[1:]}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 5)), max_size=12))
def test_no_sequence_of_moves_makes_a_cycle(tenant, moves):
    rows = [category(uuid.uuid4().hex[:12]) for _ in range(6)]
    for index, parent in moves:
        values = {"parent": None if parent < 0 else rows[parent]}
        try:
            services.reference_update(rows[index], actor=ACTOR, values=values)
        except ValidationError:
            continue
    for row in rows:
        seen: set[Any] = set()
        here: Any = CaseCategory.objects.get(pk=row.pk)
        while here is not None:
            assert here.pk not in seen
            seen.add(here.pk)
            here = here.parent
        assert len(seen) <= trees.MAX_DEPTH
        assert set(trees.above(CaseCategory, row.pk)) == seen


def test_the_tree_is_nested_in_two_queries(tenant, make_user, api):
    services.defaults_load(ACTOR)
    client = api(make_user("agent"))
    forest = client.get(f"{BASE}/case-categories/tree/").json()["data"]
    assert [one["code"] for one in forest][:2] == ["protection", "wellbeing"]
    assert [one["code"] for one in forest[0]["children"]][:2] == ["violence-physical", "violence-emotional"]
    root = forest[0]["id"]
    part = client.get(f"{BASE}/case-categories/tree/?root={root}&depth=1").json()["data"]
    assert [one["code"] for one in part] == ["protection"] and part[0]["children"] == []
    for query in ("root=x", "depth=0", "depth=99", "is_active=maybe", "nonsense=1"):
        assert client.get(f"{BASE}/case-categories/tree/?{query}").status_code == 400, query
    with CaptureQueriesContext(connection) as few:
        queries.tree(CaseCategory.objects.all(), root=None, depth=8)
    for number in range(20):
        category(f"more-{number}", CaseCategory.objects.get(code="service"))
    with CaptureQueriesContext(connection) as many:
        queries.tree(CaseCategory.objects.all(), root=None, depth=8)
    assert len(few) == len(many) <= 2
    items = client.get(f"{BASE}/items/tree/?category=gender").json()["data"]
    assert len(items) == 4


def test_a_list_makes_the_same_queries_however_long_it_is(tenant, make_user, api):
    client = api(make_user("agent"))
    parent = category("p")

    def asked() -> int:
        client.get(f"{BASE}/case-categories/")
        with CaptureQueriesContext(connection) as said:
            assert client.get(f"{BASE}/case-categories/").status_code == 200
        return len(said)

    before = asked()
    for number in range(10):
        category(f"n{number}", parent)
    assert asked() == before


def test_a_place_lies_in_one_of_a_wider_level(tenant):
    services.defaults_load(ACTOR)
    kenya = make(Location, name="Kenya", type="country", code="KE")
    nairobi = make(Location, name="Nairobi", type="state", parent=kenya)
    make(Location, name="Westlands", type="area", parent=nairobi)
    for values in (
        {"name": "X", "type": "planet"},
        {"name": "X", "type": "country", "parent": nairobi},
        {"name": "X", "type": "state", "parent": nairobi},
    ):
        with pytest.raises(ValidationError):
            make(Location, **values)
    with pytest.raises(ValidationError):
        services.reference_update(nairobi, actor=ACTOR, values={"type": "area", "parent": None})


def test_places_follow_when_their_level_gets_another_code(tenant):
    services.defaults_load(ACTOR)
    place = make(Location, name="Nairobi", type="state")
    level = queries.items_of("location_level").get(code="state")
    services.reference_update(level, actor=ACTOR, values={"code": "county", "name": "County"})
    place.refresh_from_db()
    assert place.type == "county"
    with pytest.raises(Conflict):
        services.reference_delete(level, actor=ACTOR)
    services.reference_merge(level, actor=ACTOR, into=queries.items_of("location_level").get(code="district"))
    place.refresh_from_db()
    assert place.type == "district"


def test_an_item_has_its_parent_in_its_own_tree(tenant, make_user, api):
    flat = make(ReferenceDataCategory, name="flat", display_name="Flat")
    tree = make(ReferenceDataCategory, name="tree", display_name="Tree", category_type="TREE")
    top, stranger = make(ReferenceData, category=tree, name="T"), make(ReferenceData, category=flat, name="F")
    make(ReferenceData, category=tree, name="below", parent=top)
    for values in (
        {"category": flat, "name": "x", "parent": stranger},
        {"category": tree, "name": "x", "parent": stranger},
    ):
        with pytest.raises(ValidationError):
            make(ReferenceData, **values)
    with pytest.raises(ValidationError):
        services.reference_update(top, actor=ACTOR, values={"category": flat})
    with pytest.raises(ValidationError):
        services.reference_update(tree, actor=ACTOR, values={"category_type": "LIST"})


# --- in use, merges -----------------------------------------------------------------------------------------


def test_what_is_in_use_is_switched_off_not_deleted(tenant, make_user, api):
    top = category("top")
    category("below", top)
    boss, where = api(make_user("admin")), f"{BASE}/case-categories/{top.pk}/"
    assert boss.get(f"{where}usage/").json() == {"in_use": {"children": 1}}
    refused = boss.delete(where, HTTP_IF_MATCH="*")
    assert refused.status_code == 409 and refused.json()["in_use"] == {"children": 1}
    assert boss.patch(where, {"is_active": False}, HTTP_IF_MATCH="*").status_code == 200
    assert boss.get(f"{BASE}/case-categories/?is_active=false").json()["data"][0]["id"] == str(top.pk)


@pytest.fixture
def pointing(monkeypatch: pytest.MonkeyPatch) -> dict[uuid.UUID, uuid.UUID]:
    """Rows of a higher app: their id → the category they are of."""
    rows: dict[uuid.UUID, uuid.UUID] = {}

    def move(from_id: uuid.UUID, to_id: uuid.UUID, actor: Any) -> int:
        mine = [pk for pk, target in rows.items() if target == from_id]
        rows.update(dict.fromkeys(mine, to_id))
        return len(mine)

    def count(pk: uuid.UUID) -> int:
        return sum(target == pk for target in rows.values())

    kinds = {**references._users, "case_category": [references.Users("notes", count, move)]}
    monkeypatch.setattr(references, "_users", kinds)
    return rows


def test_a_merge_moves_everything_that_pointed_there(tenant, make_user, api, pointing):
    old, new = category("old"), category("new")
    child = category("child", old)
    earlier = category("earlier")
    services.reference_merge(earlier, actor=ACTOR, into=old)
    pointing.update({uuid.uuid4(): old.pk, uuid.uuid4(): old.pk, uuid.uuid4(): new.pk})
    boss = api(make_user("admin"))
    answer = boss.post(f"{BASE}/case-categories/{old.pk}/merge/", {"into": str(new.pk)})
    assert answer.status_code == 200, answer.content
    assert answer.json()["id"] == str(new.pk) and set(pointing.values()) == {new.pk}
    child.refresh_from_db()
    gone = CaseCategory.all_objects.get(pk=old.pk)
    assert child.parent_id == new.pk and gone.is_deleted and gone.merged_into_id == new.pk
    assert boss.get(f"{BASE}/case-categories/{old.pk}/").status_code == 404
    assert queries.row("case_category", old.pk).pk == queries.row("case_category", earlier.pk).pk == new.pk
    audit = AuditEvent.objects.get(action="merge", object_id=str(old.pk))
    assert audit.changes == {"into": str(new.pk), "moved": {"notes": 2, "children": 1}}
    event = DomainEvent.objects.get(type="case_category.merged", object_id=old.pk)
    assert event.data == {"into": str(new.pk), "moved": 3}


def test_foreign_keys_of_higher_apps_are_found_by_themselves():
    found = {entry.name for kind in ("case_category", "location") for entry in references._all(kind)}
    assert "cases" in found
    assert [one.name for one in references._all("reference_category")] == ["reference_data"]
    for kind, model in queries.MODELS.items():
        named = {one.name for one in references._all(kind)}
        assert str(model._meta.verbose_name_plural) not in named or kind == "reference_item"


def test_what_cannot_be_one_is_not_merged_and_nothing_changes(tenant, make_user, api):
    boss = api(make_user("admin"))
    top = category("top")
    below = category("below", category("middle", top))

    def merge(row: Any, into: Any) -> Any:
        return boss.post(f"{BASE}/case-categories/{row}/merge/", {"into": str(into)})

    assert merge(top.pk, below.pk).status_code == 409
    for into, code in ((top.pk, "same"), (uuid.uuid4(), "does_not_exist")):
        refused = merge(top.pk, into)
        assert refused.status_code == 422
        assert [(one["pointer"], one["code"]) for one in refused.json()["errors"]] == [("/into", code)]
    assert merge(uuid.uuid4(), top.pk).status_code == 404
    assert (
        api(make_user("supervisor"))
        .post(f"{BASE}/case-categories/{below.pk}/merge/", {"into": str(top.pk)})
        .status_code
        == 403
    )
    assert CaseCategory.objects.count() == 3
    gender, other = (make(ReferenceDataCategory, name=name, display_name=name) for name in ("g", "h"))
    items = [make(ReferenceData, category=one, code="x", name="X") for one in (gender, other)]
    with pytest.raises(ValidationError):
        services.reference_merge(items[0], actor=ACTOR, into=items[1])
    with pytest.raises(Conflict):
        services.reference_merge(gender, actor=ACTOR, into=other)
    assert ReferenceData.objects.filter(category=gender).count() == 1


def test_another_tenants_row_is_no_target_of_a_merge_or_parent(tenant, other_tenant, make_user, api):
    mine = category("mine")
    with tenant_context(other_tenant.pk):
        theirs = category("theirs")
    boss = api(make_user("admin"))
    unknown = str(uuid.uuid4())
    for body_of, url in (
        (lambda pk: {"into": pk}, f"{BASE}/case-categories/{mine.pk}/merge/"),
        (lambda pk: {"name": "x", "code": "x", "parent": pk}, f"{BASE}/case-categories/"),
    ):
        answers = [boss.post(url, body_of(pk)) for pk in (str(theirs.pk), unknown, "nonsense")]
        assert [one.status_code for one in answers] == [422, 422, 422]
        errors = [one.json()["errors"] for one in answers]
        assert errors[0] == errors[1] and errors[0][0]["code"] == "does_not_exist"
    with tenant_context(other_tenant.pk):
        assert CaseCategory.objects.get(pk=theirs.pk).merged_into_id is None
    assert CaseCategory.objects.count() == 1


# --- defaults, events ---------------------------------------------------------------------------------------


def test_defaults_are_loaded_once_and_what_was_thrown_away_stays_away(tenant):
    assert services.defaults_load(ACTOR) > 30
    assert list(Priority.objects.order_by("level").values_list("code", flat=True)) == [
        "low", "medium", "high", "critical",
    ]  # fmt: skip
    assert services.defaults_load(ACTOR) == 0
    gone = CaseCategory.objects.get(code="silent")
    services.reference_delete(gone, actor=ACTOR)
    assert services.defaults_load(ACTOR) == 0
    levels = ReferenceDataCategory.objects.get(name="location_level")
    for refused in (
        lambda: services.reference_delete(levels, actor=ACTOR),
        lambda: services.reference_update(levels, actor=ACTOR, values={"name": "other"}),
    ):
        with pytest.raises((Conflict, ValidationError)):
            refused()


def test_changes_are_told_without_a_word(tenant):
    row = category("secret")
    services.reference_update(row, actor=ACTOR, values={"name": "Whisper"})
    told = list(DomainEvent.objects.filter(object_id=row.pk).order_by("sequence"))
    assert [one.type for one in told] == ["case_category.created", "case_category.updated"]
    assert told[1].data == {"fields": ["name"], "is_active": True}
    assert set(told[1].data) - {"fields"} <= set(events.catalogue["case_category.updated"].data)


@pytest.mark.django_db(transaction=True)
def test_two_moves_at_once_make_no_cycle(tenants):
    pk = tenants[0].pk
    for _ in range(3):
        with tenant_context(pk):
            left, right = category(uuid.uuid4().hex[:9]), category(uuid.uuid4().hex[:9])

        def move(row: Any, parent: Any) -> Any:
            values = {"parent": parent}
            return lambda: services.reference_update(row, actor=ACTOR, values=values)

        found = raised(at_once(move(left, right), move(right, left), tenant_id=pk))
        refused = [one.error_dict["parent"][0].code for one in found if isinstance(one, ValidationError)]
        assert refused == ["cycle"]
