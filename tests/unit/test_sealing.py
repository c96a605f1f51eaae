"""Seals open for whom they should, and for nobody else."""

from __future__ import annotations

import base64
import dataclasses
import os

import pytest

from telephony import sealing
from telephony.contract.ids import PartyId, TenantId

MASTER = bytes(range(32))
ONE, TWO = TenantId("t_aaaaaaaaaaaa"), TenantId("t_bbbbbbbbbbbb")
NUMBER = "+254711000000"


def ring(tenant: TenantId = ONE, versions: int = 1) -> sealing.Keyring:
    rows = [sealing.new_wrapped_key(MASTER, tenant, version + 1) for version in range(versions)]
    rows = [dataclasses.replace(row, active=row.version == versions) for row in rows]
    return sealing.keyring(MASTER, rows)


def test_what_was_sealed_opens_again() -> None:
    keys = ring()
    for number, name in ((NUMBER, "Amina <b>"), ("", ""), (NUMBER, "\ud800 lone"), ("", "名前")):
        party = sealing.seal_party(keys, PartyId("p"), number, name)
        assert NUMBER.encode() not in party.sealed + party.digest
        caller = sealing.open_party(keys, party)
        assert caller.number == number
        assert caller.name == name.replace("\ud800", "?")


def test_a_seal_belongs_to_its_party_tenant_and_version() -> None:
    keys = ring(versions=2)
    party = sealing.seal_party(keys, PartyId("p"), NUMBER, "n")
    assert party.key == 2
    changed = bytearray(party.sealed)
    changed[-1] ^= 1
    for wrong in (
        dataclasses.replace(party, party=PartyId("q")),
        dataclasses.replace(party, key=1),
        dataclasses.replace(party, key=3),
        dataclasses.replace(party, sealed=bytes(changed)),
        dataclasses.replace(party, sealed=b""),
    ):
        with pytest.raises(sealing.SealError):
            sealing.open_party(keys, wrong)
    with pytest.raises(sealing.SealError):
        sealing.open_party(ring(TWO), dataclasses.replace(party, key=1))


def test_a_wrapped_key_works_for_one_tenant_version_and_master() -> None:
    row = sealing.new_wrapped_key(MASTER, ONE, 1)
    for wrong in (dataclasses.replace(row, tenant=TWO), dataclasses.replace(row, version=2)):
        with pytest.raises(sealing.SealError):
            sealing.keyring(MASTER, [wrong])
    with pytest.raises(sealing.SealError):
        sealing.keyring(os.urandom(32), [row])
    with pytest.raises(sealing.SealError, match="one active"):
        sealing.keyring(MASTER, [dataclasses.replace(row, active=False)])


def test_digests_say_the_same_caller_inside_a_tenant_only() -> None:
    keys, other = ring(versions=2), ring(TWO)
    assert sealing.digest(keys, NUMBER) == sealing.seal_party(keys, PartyId("p"), NUMBER, "x").digest
    assert sealing.digest(keys, NUMBER) != sealing.digest(keys, NUMBER + "1")
    assert sealing.digest(keys, NUMBER) != sealing.digest(other, NUMBER)
    assert sealing.digests(keys, NUMBER) == [sealing.digest(keys, NUMBER, 1), sealing.digest(keys, NUMBER, 2)]
    assert sealing.digest(keys, "") == b""
    assert sealing.digests(keys, "") == []


def test_the_master_key_is_base64_of_32_bytes() -> None:
    assert sealing.master_key(base64.b64encode(MASTER).decode()) == MASTER
    for wrong in ("", "not base64!", base64.b64encode(b"short").decode()):
        with pytest.raises(ValueError, match="MURIMA_MASTER_KEY"):
            sealing.master_key(wrong)


def test_nothing_secret_is_shown() -> None:
    assert repr(ring()) == f"Keyring({ONE}, versions=(1,), active=1)"


# --- on the way -------------------------------------------------------------------------------------------


def transit(*numbers: int, shard: str = "0") -> list[sealing.TransitKey]:
    return [sealing.new_transit_key(MASTER, shard, number) for number in numbers]


def test_a_party_on_its_way_opens_under_its_own_transit_key_only() -> None:
    keys = transit(1, 2)
    held = sealing.TransitRing(MASTER, keys)
    party = sealing.seal_in_transit(held, "0", 1, ONE, PartyId("p"), NUMBER, "Amina")
    assert sealing.open_in_transit(held, party) == sealing.Caller(number=NUMBER, name="Amina")
    assert party.digest == b"", "nothing that a number could be compared with"
    assert held.newest("0") == 2 and held.newest("1") == 0
    for wrong in (
        dataclasses.replace(party, party=PartyId("q")),
        dataclasses.replace(party, tenant=TWO),
        dataclasses.replace(party, key=2),
        dataclasses.replace(party, shard="1"),
        dataclasses.replace(party, sealed=b""),
    ):
        with pytest.raises(sealing.SealError):
            sealing.open_in_transit(held, wrong)
    with pytest.raises(sealing.SealError, match="no transit key 1"):
        sealing.open_in_transit(sealing.TransitRing(MASTER, keys[1:]), party)
    with pytest.raises(sealing.SealError, match="transit"):
        sealing.open_party(ring(), party)


def test_a_transit_key_is_wrapped_for_its_shard_and_number_and_shown_to_nobody() -> None:
    (key,) = transit(7)
    for wrong in (dataclasses.replace(key, shard="1"), dataclasses.replace(key, number=8)):
        with pytest.raises(sealing.SealError):
            sealing.TransitRing(MASTER, [wrong])
    with pytest.raises(sealing.SealError, match="transit key 0 7"):
        sealing.TransitRing(os.urandom(32), [key])
    assert repr(sealing.TransitRing(MASTER, [key])) == "TransitRing([('0', 7)])"
