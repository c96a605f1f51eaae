"""What tests share that do several things beside one another, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from web.shared.tenants.context import tenant_context


@contextmanager
def in_thread(tenant_id: str, work: Callable[[], Any]) -> Iterator[None]:
    """Run `work` inside the tenant in a thread of its own, beside the block; raises what it raised."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with tenant_context(tenant_id):
                work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)
    assert not thread.is_alive(), "the thread did not end"
    if failures:
        raise failures[0]


def at_once(*works: Callable[[], Any], tenant_id: str = "") -> list[Any]:
    """Run each in a thread of its own, inside the tenant if one is named, all starting together; what each
    returned or raised, in their order."""
    gate = threading.Barrier(len(works))
    found: list[Any] = [None] * len(works)

    def run(place: int) -> None:
        try:
            with tenant_context(tenant_id) if tenant_id else nullcontext():
                gate.wait(30)
                found[place] = works[place]()
        except BaseException as error:
            found[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a thread did not end"
    return found


def raised(found: list[Any]) -> list[BaseException | None]:
    """Of what `at_once` found: the errors, and None in the place of each work that had none."""
    return [one if isinstance(one, BaseException) else None for one in found]
