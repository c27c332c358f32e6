"""Manifests of models, datasets and rounds, checkpoints, receipts and evidence."""

from typing import Annotated, Literal, Self

from pydantic import Field

from atlas.documents.document import OMIT_DEFAULT, Document, JobNumber, NodeNumber, Positive, Value
from atlas.ids import Cid, TaskId

CidField = Annotated[Cid, Field(pattern=r"^b[a-z2-7]{20,}$", description="a CIDv1 in base32")]
DataForm = Literal["rows", "sealed", "node-local"]
"""The content of a shard's CID: its rows, its encrypted rows, or its node's commitment to rows that stay there."""


class ModelManifest(Document):
    """The files of a base model: a node's copy must have the same CIDs."""

    kind: Literal["model"] = "model"
    source: str
    revision: str | None = None
    files: dict[str, CidField] = Field(min_length=1)


class ShardManifest(Value):
    """One content-addressed slice of a dataset: canonical JSONL, one row per line."""

    key: str = Field(description="s000, s001, … in order")
    cid: CidField = Field(description="of the rows, of the sealed rows, or of the node's LocalData")
    form: DataForm = "rows"
    node: str | None = Field(default=None, description="for node-local data: address of the only node that has it")
    claimed: bool = Field(default=False, description="`rows` is reported by an untrusted node and cannot be checked")
    rows: Positive
    bytes: int = Field(ge=0, description="of the rows before sealing; 0 for data that stays on its node")
    tokens: Positive | None = Field(default=None, description="whitespace-separated words; null before version 0.2")
    value: str | None = Field(default=None, description="the column's value, when sharded by column")
    labels: dict[str, int] = Field(default_factory=dict, description="rows per label")

    @property
    def size(self) -> int:
        """The number of its tokens, or of its rows if only the node can count tokens."""
        return self.tokens or self.rows

    @property
    def weight(self) -> int:
        """The weight of its update in the aggregation: its rows, or 1 if the number of rows is only claimed."""
        return 1 if self.claimed else self.rows


class DatasetManifest(Document):
    """A source cut into shards, with held-out rows whose texts occur in no shard.

    In older manifests, which did not group equal texts, this holds for rows only, not for their texts.
    """

    kind: Literal["dataset"] = "dataset"
    source: str
    text_column: str
    label_column: str | None
    labels: list[str]
    shards: list[ShardManifest] = Field(min_length=1)
    holdout: ShardManifest
    reference: ShardManifest | None = Field(default=None, description="the coordinator's own rows, for fltrust")
    skipped_rows: Annotated[int, OMIT_DEFAULT] = Field(
        default=0, ge=0, description="that could not be used, see dataset.bad_rows; in no piece"
    )
    repeated_rows: Annotated[int, OMIT_DEFAULT] = Field(
        default=0, ge=0, description="whose text is also that of an earlier row; not counted in sealed data"
    )


class Checkpoint(Document):
    """The result of a round; round 0 is the untrained adapter, which the spec's seed defines."""

    kind: Literal["checkpoint"] = "checkpoint"
    job: CidField
    round: int = Field(ge=0)
    adapter: CidField = Field(description="safetensors: every tensor that is trained, float32")
    merged: list[CidField] = Field(
        default_factory=list,
        description="low-rank factors that join the base model's weights, oldest first (stack, fedex)",
    )
    optimizer: CidField | None = Field(default=None, description="the outer optimizer's state")
    parent: CidField | None = Field(description="the checkpoint that the round started from; null in round 0")
    manifest: CidField | None = Field(description="the RoundManifest that it was aggregated from; null in round 0")


class AcceptedUpdate(Value):
    """One line of a round manifest: an adapter that passed the gates, and its weight."""

    shard: str
    data: CidField
    adapter: CidField
    weight: Positive = Field(description="from the shard manifest, never from the node's receipt")


Gate = Literal["receipt", "stale", "readable", "schema", "finite", "norm", "copy"]


class RefusedUpdate(Value):
    """One update that a gate kept out of a round."""

    shard: str
    attempt: Positive
    adapter: CidField | None = Field(description="null when the node named none")
    gate: Gate
    reason: str


class RoundManifest(Document):
    """All inputs that determine a round's checkpoint, in shard order, and the refused updates; no nodes, no times."""

    kind: Literal["round"] = "round"
    job: CidField
    round: Positive
    base: CidField
    strategy: str = Field(description="as in the job's spec, which has the other settings of the aggregation")
    updates: list[AcceptedUpdate] = Field(min_length=1)
    reference: CidField | None = Field(
        default=None, description="the update of the coordinator's own rows, for fltrust"
    )
    refused: list[RefusedUpdate] = Field(default_factory=list, description="by shard and attempt")

    def without(self, shard: str) -> Self:
        """The manifest without the update of one shard, by which that update is scored."""
        return self.model_copy(update={"updates": [one for one in self.updates if one.shard != shard]})


class Environment(Value):
    """The numeric class of a computation: equal classes give equal bytes."""

    device: str = Field(description="cpu, cuda or mps, with the model of GPU or the CPU's instruction set")
    torch: str
    transformers: str
    peft: str
    platform: str
    precision: str


class TrainingPoint(Value):
    """One point of the loss curve. A step that was skipped, because its rows had nothing to predict, has none."""

    step: Positive
    loss: float


class SavedCheckpoint(Value):
    """A resumable training checkpoint that a node uploaded."""

    step: Positive
    cid: CidField


class Receipt(Document):
    """A node's account of one task. It identifies who is responsible for the bytes; it sets no weight or payout."""

    kind: Literal["receipt"] = "receipt"
    task: CidField
    task_id: TaskId
    attempt: Positive
    node: str = Field(description="the node's address")
    data: CidField
    base: CidField
    adapter: CidField | None = Field(default=None, description="for training: the update, after decoding")
    encoded: CidField | None = Field(default=None, description="the encoded update, if the job compresses updates")
    residual: CidField | None = Field(
        default=None, description="the unsent part of the previous update, which was added to this one"
    )
    steps: int = Field(default=0, ge=0)
    rows_seen: int = Field(default=0, ge=0)
    tokens_seen: int = Field(default=0, ge=0)
    losses: list[TrainingPoint] = Field(default_factory=list)
    checkpoints: list[SavedCheckpoint] = Field(default_factory=list)
    resumed_from: CidField | None = None
    metrics: dict[str, dict[str, float]] = Field(default_factory=dict, description="per checkpoint CID, for evaluation")
    environment: Environment
    started_at: float = Field(description="seconds since the epoch, by the node's clock")
    finished_at: float


class SignedReceipt(Document):
    """A receipt with its node's signature over the receipt's canonical bytes."""

    receipt: Receipt
    public_key: str = Field(description="compressed secp256k1, hex")
    signature: str = Field(description="64-byte compact ECDSA over SHA-256, hex")


ScoringMethod = Literal["leave-one-out", "alignment", "none"]


class TaskRecord(Value):
    """The outcome of one task of a round, as evidence for the payout. The evaluation has no score: its pay is fixed."""

    slot: int = Field(ge=0)
    shard: str | None
    node_id: NodeNumber
    attempt: Positive
    receipt: CidField
    result: CidField = Field(description="the adapter, or for the evaluation its receipt")
    tokens: int | None = Field(
        default=None, ge=0, description="tokens that the spec makes it train on; 0 if its update was not aggregated"
    )
    score: int | None = Field(default=None, ge=0, le=2000, description="thousandths; 1000: neither helped nor harmed")

    @property
    def contribution(self) -> int | None:
        """Validated tokens x score, in thousandths of a token."""
        return None if self.tokens is None or self.score is None else self.tokens * self.score


class RefusalRecord(Value):
    """An update that a gate refused."""

    shard: str
    node_id: NodeNumber
    attempt: Positive
    gate: Gate
    reason: str


class NodeShare(Value):
    """A node's share of a round's pool."""

    node_id: NodeNumber
    count: Positive = Field(description="completed tasks")
    bps: int = Field(ge=0, le=10_000, description="basis points of the pool")


class RoundEvidence(Document):
    """The completed tasks of a round. Its records, in slot order, are the leaves of the Merkle root on chain."""

    kind: Literal["evidence"] = "evidence"
    contract: str
    job_id: JobNumber
    round: Positive
    checkpoint: CidField
    scoring: ScoringMethod = Field(default="none", description="how the scores were computed")
    records: list[TaskRecord] = Field(min_length=1)
    per_node: list[NodeShare] = Field(default_factory=list, description="by node id; as submitted on chain")
    rejected: list[RefusalRecord] = Field(default_factory=list)
