from assets.tables import metrics_table, payouts_table, table, updates_table
from atlas.content.cid import cid_of_bytes
from atlas.manifests import DatasetManifest, Environment, Receipt, ShardManifest, TrainingPoint
from resources.jobs import Attempt
from resources.payouts import Payout

CID = cid_of_bytes(b"any")
SHARDS = [ShardManifest(key=f"s00{index}", cid=CID, rows=10 + index, bytes=100) for index in range(3)]
DATASET = DatasetManifest(
    source="x.csv", text_column="text", label_column=None, labels=[], shards=SHARDS, holdout=SHARDS[0]
)
RECEIPT = Receipt(
    task=CID,
    task_id="0" * 16,
    attempt=1,
    node="atlas1",
    data=CID,
    base=CID,
    losses=[TrainingPoint(step=1, loss=0.9), TrainingPoint(step=2, loss=0.51234)],
    environment=Environment(device="cpu", torch="2", transformers="5", peft="0", platform="x", precision="fp32"),
    started_at=0.0,
    finished_at=1.0,
)


def attempt(slot: int, **changes) -> Attempt:
    return Attempt(slot=slot, attempt=1, task_id="0" * 16, task_cid=CID, node_id=7, **changes)


def rows_of(value) -> list[dict]:
    return [record.data for record in value.records]


def test_each_attempt_has_a_verdict():
    attempts = [
        attempt(0, state="completed", receipt_cid="receipt", result_cid="adapter"),
        attempt(1, state="refused", gate="finite", reason="holds NaN"),
        attempt(2, state="completed", receipt_cid="other", result_cid="odd", gate="schema", reason="lacks a tensor"),
        attempt(3, state="completed", receipt_cid="evaluation", result_cid="evaluation"),
    ]
    first, second, third = rows_of(updates_table(attempts, {"receipt": RECEIPT}, DATASET))
    assert (first["shard"], first["verdict"], first["rows"], first["loss"]) == ("s000", "accepted", 10, 0.5123)
    assert (second["verdict"], second["gate"], second["reason"]) == ("refused", "finite", "holds NaN")
    assert (third["verdict"], third["loss"]) == ("excluded", "")


def test_a_metric_that_only_one_side_has_is_left_open():
    assert rows_of(metrics_table({"loss": 1.0}, {"loss": 0.5, "accuracy": 0.8})) == [
        {"metric": "accuracy", "base": "", "checkpoint": 0.8},
        {"metric": "loss", "base": 1.0, "checkpoint": 0.5},
    ]


def test_a_payout_shows_how_it_came_about():
    paid = Payout(node=1, address="atlas1", count=2, tokens=2200, score=1045, bps=5935, amount=296_750)
    idle = Payout(node=2, address="atlas2", count=1, tokens=0, score=None, bps=2000, amount=100_000)
    first, second = rows_of(payouts_table([paid, idle]))
    assert (first["tasks"], first["tokens"], first["score"], first["basis_points"], first["credited"]) == (
        2, 2200, "1.045", 5935, 296_750,
    )  # fmt: skip
    assert (second["score"], second["credited"]) == ("", 100_000)


def test_a_table_without_rows_is_a_table():
    assert rows_of(table([])) == []
