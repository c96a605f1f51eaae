"""The book: what is published, looked up by those who decide.

Blobs are found by their hash, because a live call keeps the policy that it started under whatever is
published later. The book is not state: it holds content-addressed documents, and which manifest is in force
is a fact (`PolicyAdopted`).
"""

from collections.abc import Iterable

from telephony.contract.ids import NumberId, QueueId, TenantId
from telephony.contract.policy import Manifest, Policy, QueuePolicy, Strategy
from telephony.contract.view import CallView


class Book:
    """Every policy the shell handed over; `current` is the one in force."""

    def __init__(self, policies: Iterable[Policy], current: str) -> None:
        self._blobs: dict[str, QueuePolicy] = {}
        self._numbers: dict[NumberId, QueueId] = {}
        self._hashes: dict[QueueId, str] = {}
        self.current: Policy | None = None
        for policy in policies:
            self.keep(policy)
            if policy.hash and policy.hash == current:
                self.adopt(policy)

    def keep(self, policy: Policy) -> None:
        """Remember the blobs of a policy, in force or not."""
        for queue, blob in policy.manifest.queues:
            found = policy.queues.get(queue)
            if found is not None:
                self._blobs[blob] = found

    def adopt(self, policy: Policy) -> None:
        """Make it the one in force for callers who enter from now on."""
        self.keep(policy)
        self.current = policy
        self._hashes = {queue: blob for queue, blob in policy.manifest.queues if queue in policy.queues}
        self._numbers = {each.number: each.queue for each in policy.manifest.numbers}

    def forget(self, needed: Iterable[str]) -> None:
        """Drop the blobs that neither the policy in force nor `needed` names."""
        keep = dict.fromkeys((*self._hashes.values(), *needed))
        self._blobs = {each: self._blobs[each] for each in keep if each in self._blobs}

    def policies(self, tenant: TenantId) -> list[Policy]:
        """What another book must be given to look things up as this one does."""
        found = [] if self.current is None else [self.current]
        for blob, queue in self._blobs.items():
            if blob not in self._hashes.values():
                pinned = Manifest(tenant=tenant, version=0, queues=((queue.queue, blob),), numbers=())
                found.append(Policy(hash="", manifest=pinned, queues={queue.queue: queue}))
        return found

    def entry(self, number: NumberId) -> tuple[QueueId, str] | None:
        """(queue, hash of its policy) of a dialled number, None when nobody serves it."""
        queue = self._numbers.get(number, QueueId(""))
        found = self._hashes.get(queue)
        return None if found is None else (queue, found)

    def queue(self, call: CallView) -> QueuePolicy:
        """What the call started under; the defaults when that blob is not to be had any more."""
        found = self._blobs.get(call.flow)
        return found if found is not None else QueuePolicy(queue=call.queue or QueueId(""), name="")

    def of_queue(self, queue: QueueId) -> QueuePolicy:
        """What is in force for a queue now, the defaults for one that is not published."""
        found = self._blobs.get(self._hashes.get(queue, ""))
        return found if found is not None else QueuePolicy(queue=queue, name="")

    def strategy(self, demand: str) -> Strategy:
        return self.of_queue(QueueId(demand)).strategy
