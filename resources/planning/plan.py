"""The plan of an order as a document: what a job would do, take and cost. None stands for what is unknown."""

from pydantic import Field

from atlas.documents.document import Value
from atlas.ids import NodeId
from atlas.training.preview.documents import Memory, RowPreview


class PlannedRows(Value):
    """A piece of the dataset: a shard, or rows that are held out or kept as reference."""

    key: str
    rows: int
    bytes: int
    words: int | None
    tokens: int | None = Field(
        default=None, description="of a shard: that its task trains on in round 1; of held-out rows: each once"
    )
    labels: dict[str, int] = Field(default_factory=dict, description="rows per label")


class PlannedData(Value):
    """The dataset as the job would cut it."""

    source: str
    shards: list[PlannedRows] = Field(description="empty if the nodes have the rows")
    shard_count: int = Field(description="number of shards; the least number if the nodes have the rows")
    holdout: PlannedRows
    reference: PlannedRows | None
    skipped_rows: int
    repeated_rows: int


class PlannedModel(Value):
    """The model with its adapter."""

    source: str
    task: str
    parameters: int
    trainable: int
    precision: str


class PlannedSteps(Value):
    """The work of the job."""

    per_task: int
    rows_per_step: int
    rounds: int
    total: int = Field(description="of all shards in all rounds")
    seconds_per_round: float | None = Field(description="of training alone, from measured speeds of nodes")


class PlannedCost(Value):
    """The money, in micro-units."""

    denomination: str | None
    reward_per_task: int
    per_round: int = Field(description="of every shard and one evaluation")
    total: int = Field(description="of all rounds")
    escrow: int = Field(description="payment.budget, which the contract holds; the rest is returned")
    balance: int | None = Field(description="of the operator's account")


class PlannedNode(Value):
    """A registered node."""

    node: NodeId
    address: str
    capacity: int
    hardware: str | None
    tokens_per_second: float | None = Field(description="of one task, from the node's receipts for this model")
    obstacle: str | None = Field(description="why it cannot take a task; null if it fits")


class JobPlan(Value):
    """What a job would do, take and cost. Nothing of it was written on chain."""

    name: str
    data: PlannedData
    preview: list[RowPreview]
    model: PlannedModel
    memory: list[Memory]
    steps: PlannedSteps
    cost: PlannedCost
    nodes: list[PlannedNode] | None = Field(description="null if no network runs")
    warnings: list[str]
    refusal: str | None = Field(default=None, description="why `atlas run` cannot run the order now; null if it can")
