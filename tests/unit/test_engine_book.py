# mypy: disable-error-code="arg-type"
# Ids are plain strings in these stories.
"""The book: the policy in force is the one that the view names, and older documents are found by hash."""

from typing import Any

from telephony.contract.view import CallView
from telephony.engine.book import Book
from tests.fakes.floor_story import make_policy


def call(policy, queue):
    flow = dict(policy.manifest.queues)[queue]
    return CallView(
        call="c",
        channel="x",
        leg="c.1",
        node="a",
        trunk="t",
        number="n",
        party="p",
        arrived=1,
        queue=queue,
        flow=flow,
    )


HELP: Any = "help"
OLD = make_policy(1, help={"ring_seconds": 11}, gone={"ring_seconds": 12})
NEW = make_policy(2, help={"ring_seconds": 22})


def test_the_policy_in_force_is_found_by_its_hash():
    for order in ((OLD, NEW), (NEW, OLD)):
        book = Book(order, NEW.hash)
        assert book.current is NEW
        assert book.entry("n-gone") is None
        assert book.queue(call(OLD, "help")).ring_seconds == 11
        assert book.queue(call(NEW, "help")).ring_seconds == 22


def test_a_policy_without_a_hash_only_lends_its_documents():
    nameless = type(OLD)(hash="", manifest=OLD.manifest, queues=OLD.queues)
    book = Book([nameless], "")
    assert book.current is None
    assert book.entry("n-help") is None
    assert book.queue(call(OLD, "help")).ring_seconds == 11


def test_a_number_whose_queue_has_no_document_is_served_by_nobody():
    torn = type(OLD)(hash=OLD.hash, manifest=OLD.manifest, queues={HELP: OLD.queues[HELP]})
    book = Book([torn], OLD.hash)
    assert book.entry("n-help") is not None
    assert book.entry("n-gone") is None
    assert book.entry("n-nowhere") is None


def test_documents_that_no_call_needs_are_forgotten():
    book = Book([OLD, NEW], NEW.hash)
    book.forget([call(OLD, "help").flow, "unknown"])
    assert book.queue(call(OLD, "help")).ring_seconds == 11
    assert book.queue(call(OLD, "gone")).ring_seconds == 20
    assert book.of_queue("help").ring_seconds == 22
    assert book.of_queue("gone").ring_seconds == 20


def test_a_book_made_of_another_books_policies_finds_the_same():
    book = Book([OLD, NEW], NEW.hash)
    pinned = call(OLD, "help")
    book.forget([pinned.flow])
    twin = Book(book.policies("t_000000000000"), NEW.hash)
    assert twin.current == book.current
    assert twin.entry("n-help") == book.entry("n-help")
    assert twin.queue(pinned).ring_seconds == 11
    assert twin.of_queue("help").ring_seconds == 22
    assert [each.hash for each in book.policies("t_000000000000")] == [NEW.hash, ""]


def test_a_book_with_nothing_in_force_hands_over_what_it_keeps():
    assert [each.hash for each in Book([], "").policies("t_000000000000")] == []
    assert [each.hash for each in Book([OLD], "").policies("t_000000000000")] == ["", ""]
