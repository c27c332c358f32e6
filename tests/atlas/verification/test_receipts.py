import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas.documents.manifests import Environment, Receipt
from atlas.errors import VerificationError
from atlas.signing import KeySigner
from atlas.spec.job import TaskSpec
from atlas.verification.receipts import sign_receipt, verify_receipt

SIGNER = KeySigner(b"\x01" * 32, "atlas")
CID = {name: cid_of_bytes(name.encode()) for name in ("job", "model", "data", "base", "adapter", "other", "encoded")}
TASK = TaskSpec(
    kind="train", contract="atlas1c", job_id=1, job=CID["job"], model=CID["model"], round=1, slot=0, shard="s000",
    data=CID["data"], rows=10, base=CID["base"], attempt=1,
)  # fmt: skip
ENVIRONMENT = Environment(device="cpu", torch="2", transformers="5", peft="0", platform="linux", precision="fp32")


def receipt(of=TASK, **changes):
    fields = {
        "task": of.cid, "task_id": of.task_id, "attempt": 1, "node": SIGNER.address, "data": of.data,
        "base": of.base, "adapter": CID["adapter"], "environment": ENVIRONMENT, "started_at": 1.0, "finished_at": 2.0,
    }  # fmt: skip
    return Receipt(**(fields | changes))


def test_an_honest_receipt_holds():
    assert verify_receipt(sign_receipt(receipt(), SIGNER), TASK, SIGNER.address, "none") == receipt()


@pytest.mark.parametrize(
    "change",
    [{"data": CID["other"]}, {"base": CID["other"]}, {"attempt": 2}, {"task": CID["other"]}, {"adapter": None}],
)
def test_a_receipt_of_other_work_is_refused(change):
    with pytest.raises(VerificationError):
        verify_receipt(sign_receipt(receipt(**change), SIGNER), TASK, SIGNER.address, "none")


def test_an_altered_receipt_is_refused():
    signed = sign_receipt(receipt(), SIGNER)
    altered = signed.model_copy(update={"receipt": receipt(adapter=CID["other"])})
    with pytest.raises(VerificationError, match="altered or forged"):
        verify_receipt(altered, TASK, SIGNER.address, "none")


def test_another_nodes_signature_is_refused():
    other = KeySigner(b"\x02" * 32, "atlas")
    with pytest.raises(VerificationError, match="belongs to"):
        verify_receipt(sign_receipt(receipt(), other), TASK, SIGNER.address, "none")


@pytest.mark.parametrize(
    ("codec", "named", "holds"),
    [
        ("none", [], True),
        ("none", ["encoded"], False),
        ("none", ["residual"], False),
        ("int8", [], False),
        ("int8", ["encoded"], True),
        ("int8", ["encoded", "residual"], False),
        ("top-k", ["encoded"], True),
        ("top-k", ["encoded", "residual"], True),
        ("top-k", ["residual"], False),
    ],
)
def test_a_receipt_names_what_its_codec_makes_and_nothing_else(codec, named, holds):
    signed = sign_receipt(receipt(**dict.fromkeys(named, CID["encoded"])), SIGNER)
    if holds:
        assert verify_receipt(signed, TASK, SIGNER.address, codec) == signed.receipt
    else:
        with pytest.raises(VerificationError, match=r"encoded|left over"):
            verify_receipt(signed, TASK, SIGNER.address, codec)


def test_evaluation_is_never_compressed():
    task = TASK.model_copy(update={"kind": "evaluate", "shard": None, "checkpoints": [CID["base"]]})
    fields = {"adapter": None, "metrics": {CID["base"]: {"loss": 0.7}}}
    verify_receipt(sign_receipt(receipt(task, **fields), SIGNER), task, SIGNER.address, "int8")
    signed = sign_receipt(receipt(task, encoded=CID["encoded"], **fields), SIGNER)
    with pytest.raises(VerificationError, match="encoded"):
        verify_receipt(signed, task, SIGNER.address, "int8")


def test_evaluation_must_cover_each_checkpoint_with_finite_numbers():
    task = TASK.model_copy(update={"kind": "evaluate", "shard": None, "checkpoints": [CID["base"], CID["other"]]})
    good = {CID["base"]: {"loss": 0.7}, CID["other"]: {"loss": 0.5}}
    verify_receipt(sign_receipt(receipt(task, adapter=None, metrics=good), SIGNER), task, SIGNER.address, "none")
    for metrics in ({CID["base"]: {"loss": 0.7}}, {**good, CID["other"]: {"accuracy": 1.0}}):
        with pytest.raises(VerificationError):
            verify_receipt(
                sign_receipt(receipt(task, adapter=None, metrics=metrics), SIGNER), task, SIGNER.address, "none"
            )


def test_a_rival_must_be_compared_with_the_checkpoint():
    checkpoints = [CID["base"], CID["other"], CID["adapter"]]
    task = TASK.model_copy(update={"kind": "evaluate", "shard": None, "checkpoints": checkpoints, "sample_rows": 5})
    plain = {cid: {"loss": 0.7} for cid in checkpoints}
    good = {**plain, CID["adapter"]: {"loss": 0.7, "reference_loss": 0.6}}
    verify_receipt(sign_receipt(receipt(task, adapter=None, metrics=good), SIGNER), task, SIGNER.address, "none")
    with pytest.raises(VerificationError, match="reference_loss"):
        verify_receipt(sign_receipt(receipt(task, adapter=None, metrics=plain), SIGNER), task, SIGNER.address, "none")
