import json

import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas.documents.manifests import RoundEvidence, TaskRecord
from atlas.verification.evidence import evidence_leaves, evidence_root

RECORD = {"shard": "s000", "node_id": 1, "attempt": 1, "receipt": cid_of_bytes(b"r"), "result": cid_of_bytes(b"a")}


def evidence(**changes):
    records = [TaskRecord(slot=slot, **RECORD) for slot in range(3)]
    fields = {"contract": "atlas1c", "job_id": 1, "round": 1, "checkpoint": cid_of_bytes(b"c"), "records": records}
    return RoundEvidence(**(fields | changes))


def test_leaves_differ_by_place_and_come_in_slot_order():
    leaves = evidence_leaves(evidence())
    assert len(set(leaves)) == 3
    assert evidence_root(evidence(records=evidence().records[::-1])) == evidence_root(evidence())


def test_a_leaf_holds_what_the_contract_reads_of_a_record():
    (leaf, *_) = evidence_leaves(evidence())
    assert set(json.loads(leaf)["record"]) == {"attempt", "node_id", "receipt", "result", "shard", "slot"}


def test_a_record_contributes_tokens_times_score():
    assert [
        TaskRecord(**RECORD, slot=0, tokens=12, score=1500).contribution,
        TaskRecord(**RECORD, slot=1).contribution,
    ] == [18_000, None]


@pytest.mark.parametrize("change", [{"contract": "atlas1d"}, {"job_id": 2}, {"round": 2}])
def test_the_root_is_bound_to_its_contract_job_and_round(change):
    assert evidence_root(evidence(**change)) != evidence_root(evidence())
