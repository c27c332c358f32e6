"""Results and rewards: submission, challenges with real Merkle proofs, settlement, payment."""

import base64

from atlas.content.format.cid import cid_of_bytes
from atlas.data.merkle import merkle_proof
from atlas.documents.manifests import RoundEvidence, TaskRecord
from atlas.verification.evidence import evidence_leaves, evidence_root
from tests.support.conformance.both_chains import Ask, Do, Scene, Vector
from tests.support.conformance.vectors.fleet import register
from tests.support.conformance.vectors.work import assign, complete, create

CHECKPOINT = cid_of_bytes(b"checkpoint")


def evidence(scene: Scene, *done: tuple[int, int, int], number: int = 1, job: int = 1) -> RoundEvidence:
    """The evidence of a round in which these (slot, node, attempt) were completed."""
    records = [
        TaskRecord(slot=slot, shard=f"s{slot:03}", node_id=node, attempt=attempt, receipt=CHECKPOINT, result=CHECKPOINT)
        for slot, node, attempt in done
    ]
    return RoundEvidence(contract=scene.contract, job_id=job, round=number, checkpoint=CHECKPOINT, records=records)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def submit(document: RoundEvidence, *shares: tuple[int, int, int], **changes) -> dict:
    """Of (node, count, bps)."""
    body = {
        "job": document.job_id,
        "round": document.round,
        "root": encoded(evidence_root(document)),
        "leaf_count": len(document.records),
        "checkpoint": document.checkpoint,
        "evidence": "bafyevidence",
        "per_node": [{"node": node, "count": count, "bps": bps} for node, count, bps in shares],
    }
    return {"submit_round": body | changes}


def challenge(document: RoundEvidence, index: int, leaf: bytes | None = None, **changes) -> dict:
    leaves = evidence_leaves(document)
    index_of_proof = min(index, len(leaves) - 1)
    body = {
        "job": document.job_id,
        "round": document.round,
        "index": index,
        "leaf": encoded(leaves[index_of_proof] if leaf is None else leaf),
        "proof": [encoded(step.sibling) for step in merkle_proof(leaves, index_of_proof)],
        "evidence": "bafyfound",
    }
    return {"challenge": body | changes}


def of_round(name: str, number: int = 1, **more) -> dict:
    return {name: {"job": 1, "round": number, **more}}


def prepared(rounds: int = 2) -> list[Do | Ask]:
    """Two nodes have completed slots 0 to 2 and 3 to 4 of round 1."""
    return [
        Do("ann", register(), "1000uatl"),
        Do("bob", register(), "1000uatl"),
        Do("client", create(rounds=rounds, reward=7), f"{35 * rounds}uatl"),
        Do("client", assign((0, 1, 1), (1, 1, 1), (2, 1, 1), (3, 2, 1), (4, 2, 1))),
        Do("client", complete((0, 1), (1, 1), (2, 1), (3, 1), (4, 1))),
    ]


DONE = ((0, 1, 1), (1, 1, 1), (2, 1, 1), (3, 2, 1), (4, 2, 1))
GOOD = ((1, 3, 6667), (2, 2, 3333))


def settlement(scene: Scene) -> list[Do | Ask]:
    document = evidence(scene, *DONE)
    return [
        *prepared(),
        Do("client", of_round("settle"), refused="is not submitted"),
        Do("eve", submit(document, *GOOD), refused="is not the owner of job 1"),
        Do("client", submit(document, *GOOD, root=encoded(b"short")), refused="root has 5 bytes"),
        Do("client", submit(document, *GOOD, leaf_count=0), refused="leaf_count"),
        Do("client", submit(document, *GOOD, leaf_count=6), refused="leaf_count is 6"),
        Do("client", submit(document, *GOOD, round=3), refused="round"),
        Do("client", submit(document, (1, 4, 5000), (2, 1, 5000)), refused="but completed 3"),
        Do("client", submit(document, (1, 3, 10_000), leaf_count=3), refused="list every node"),
        Do("client", submit(document, (1, 3, 5000), (2, 2, 4999)), refused="add up to 9999"),
        Do("client", submit(document, (1, 3, 5000), (1, 3, 5000), (2, 2, 0)), refused="listed twice"),
        Do("client", submit(document, *GOOD, checkpoint=""), refused="checkpoint"),
        Do("client", submit(document, *GOOD)),
        Do("client", submit(document, *GOOD), refused="already submitted"),
        Do("client", assign((0, 1, 2)), refused="already submitted"),
        Do("eve", of_round("settle"), refused="can be settled from"),
        Ask({"round": {"job": 1, "round": 1}}),
        Do("eve", of_round("rollback_round"), refused="is not the owner of job 1"),
        Do("client", of_round("rollback_round")),
        Do("client", of_round("rollback_round"), refused="is not submitted"),
        Do("client", submit(document, (1, 3, 1), (2, 2, 9999))),
        Do("eve", of_round("settle"), wait=8),
        Do("eve", of_round("settle"), refused="already settled"),
        Do("client", of_round("rollback_round"), refused="already settled"),
        Ask({"rounds": {"job": 1}}),
        Ask({"round": {"job": 1, "round": 2}}),
        Ask({"job": {"id": 1}}),
        Do("ann", {"withdraw": {}}, refused="has no credit"),
        Do("bob", {"withdraw": {}}),
        Do("client", assign((0, 1, 1), (1, 2, 1), number=2)),
        Do("client", complete((0, 1), (1, 1), number=2)),
        Do("client", submit(evidence(scene, (0, 1, 1), (1, 2, 1), number=2), (1, 1, 5000), (2, 1, 5000))),
        Do("client", {"cancel_job": {"job": 1}}),
        Do("eve", of_round("settle", 2), wait=8),
        Do("eve", {"withdraw_for": {"addresses": []}}, refused="batch has 0 items"),
        Do("eve", {"withdraw_for": {"addresses": ["nobody"]}}, refused="bech32"),
        Do("eve", {"withdraw_for": {"addresses": [scene["ann"], scene["ann"]]}}, refused="listed twice"),
        Do("eve", {"withdraw_for": {"addresses": [scene["ann"], scene["cem"]]}}, refused="has no credit"),
        Do("eve", {"withdraw_for": {"addresses": [scene["ann"], scene["bob"], scene["client"]]}}),
        Do("client", {"close_job": {"job": 1}}),
        Ask({"job": {"id": 1}}),
        Ask({"totals": {}}),
    ]


def disputes(scene: Scene) -> list[Do | Ask]:
    document = evidence(scene, *DONE)
    other = evidence(scene, *DONE, job=2)
    bond = "50uatl"
    return [
        *prepared(),
        Do("eve", challenge(document, 0), bond, refused="is not submitted"),
        Do("client", submit(document, *GOOD)),
        Do("eve", challenge(document, 0), "49uatl", refused="costs exactly 50, found 49"),
        Do("eve", challenge(document, 0), refused="No funds sent"),
        Do("eve", challenge(document, 5), bond, refused="index 5 is not of the 5 leaves"),
        Do("eve", challenge(document, 1, leaf=evidence_leaves(document)[0]), bond, refused="does not lead"),
        Do("eve", challenge(document, 1, leaf=b"{}"), bond, refused="does not lead"),
        Do("eve", challenge(document, 1, proof=[]), bond, refused="does not lead"),
        Do("eve", challenge(document, 1, proof=[encoded(b"\x01" * 32)] * 4), bond, refused="does not lead"),
        Do("eve", challenge(document, 1, proof=[encoded(b"short")]), bond, refused="does not lead"),
        Do("eve", challenge(document, 1), bond),
        Do("cem", challenge(document, 1), bond, refused="already challenged"),
        Do("cem", challenge(document, 3), bond),
        Do("dora", challenge(document, 4), bond),
        Do("client", of_round("rollback_round"), refused="open challenges"),
        Do("client", of_round("resolve_challenge", index=1, upheld=True), refused="not the contract's current owner"),
        Do("owner", of_round("resolve_challenge", index=2, upheld=True), refused="is not challenged"),
        Do("eve", of_round("dismiss_challenge", index=4), refused="can be dismissed from"),
        Do("owner", of_round("resolve_challenge", index=1, upheld=True)),
        Do("owner", of_round("resolve_challenge", index=1, upheld=False), refused="upheld, not open"),
        Do("owner", of_round("resolve_challenge", index=3, upheld=False)),
        Ask({"challenges": {"job": 1, "round": 1}}),
        Do("eve", of_round("settle"), refused="has 1 open challenges", wait=17),
        Do("cem", challenge(document, 0), bond, refused="ended at"),
        Do("owner", of_round("resolve_challenge", index=4, upheld=True), refused="use dismiss_challenge"),
        Do("eve", of_round("dismiss_challenge", index=4)),
        Do("eve", of_round("settle")),
        Ask({"challenge": {"job": 1, "round": 1, "index": 4}}),
        Ask({"challenge": {"job": 1, "round": 1, "index": 2}}),
        Ask({"round": {"job": 1, "round": 1}}),
        Ask({"nodes": {}}),
        Ask({"totals": {}}),
        Do("owner", {"withdraw_treasury": {"to": scene["dora"], "amount": "1000000"}}, refused="in the treasury"),
        Do("eve", {"withdraw_treasury": {"to": scene["eve"], "amount": "1"}}, refused="current owner"),
        Do("owner", {"withdraw_treasury": {"to": "wasm1wrong", "amount": "1"}}, refused="bech32"),
        Do("owner", {"withdraw_treasury": {"to": scene["dora"], "amount": "50"}}),
        # A submission whose leaves name another job is void as soon as one of them is shown.
        Do("client", assign((0, 1, 1), number=2)),
        Do("client", complete((0, 1), number=2)),
        Do(
            "client",
            submit(
                other,
                (1, 1, 10_000),
                job=1,
                round=2,
                leaf_count=1,
                root=encoded(evidence_root(evidence(scene, (0, 1, 1), number=2, job=2))),
            ),
        ),
        Do("eve", challenge(evidence(scene, (0, 1, 1), number=2, job=2), 0, job=1), bond),
        Ask({"round": {"job": 1, "round": 2}}),
        Do("client", submit(evidence(scene, (0, 1, 1), number=2), (1, 1, 10_000))),
        Do("eve", {"withdraw": {}}),
    ]


def abandonment(scene: Scene) -> list[Do | Ask]:
    document = evidence(scene, *DONE)
    return [
        *prepared(),
        Do("eve", of_round("claim_abandoned"), refused="has no node"),
        Do("ann", of_round("claim_abandoned"), refused="counts as abandoned after"),
        Do("ann", of_round("claim_abandoned"), wait=8),
        Do("ann", of_round("claim_abandoned"), refused="no unpaid completed task"),
        Do("client", submit(document, *GOOD), refused="was abandoned"),
        Do("bob", of_round("claim_abandoned", 2), refused="no unpaid completed task"),
        Do("bob", of_round("claim_abandoned")),
        Do("bob", {"withdraw": {}}),
        Ask({"job": {"id": 1}}),
        Ask({"totals": {}}),
    ]


SHORT = {"min_stake": "1000", "challenge_seconds": 6, "dispute_seconds": 6, "unbonding_seconds": 12}
VECTORS = [
    Vector("settlement", SHORT, settlement),
    Vector(
        "disputes",
        SHORT | {"challenge_seconds": 16, "dispute_seconds": 12, "unbonding_seconds": 28, "challenge_bond": "50"},
        disputes,
    ),
    Vector("abandonment", {"min_stake": "1000", "abandon_seconds": 6}, abandonment),
]
