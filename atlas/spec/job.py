"""`JobSpec`, one fine-tuning order, and `TaskSpec`, one task of it for one node."""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import rfc8785
import yaml
from pydantic import Field, ValidationError, model_validator

from atlas.aggregation.settings import AggregationSpec
from atlas.aggregation.strategies.registry import STRATEGIES
from atlas.documents.document import OMIT_DEFAULT, Document, Positive, Value, describe_validation
from atlas.documents.manifests import DataForm
from atlas.errors import SpecError
from atlas.ids import Cid, JobId, TaskId
from atlas.models.catalogue import known_model
from atlas.spec.dataset import DatasetSpec

TaskType = Literal["sequence-classification", "causal-lm"]
SCHEDULE, AUTOMATION = "schedule", "automation"
"""The fields of a job's file with the times and the events at which the job is ordered again."""
JOB_NAME = r"^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$"
"""The names that jobs may have."""
Scoring = Literal["auto", "leave-one-out", "alignment", "none"]


class ModelSpec(Value):
    """The pretrained model to fine-tune, and its task."""

    source: str = Field(description="package:minilm, package:smollm2, hub:ORG/NAME or path:FOLDER")
    revision: str | None = Field(default=None, description="a hub revision; null for the default branch")
    task: TaskType = Field(description="sequence-classification or causal-lm")


class LoraSpec(Value):
    """The adapter's shape."""

    rank: Positive = Field(default=8, description="rows of A and columns of B; the size of an update grows with it")
    alpha: Positive = Field(default=16, description="the product of the factors is scaled by alpha / rank")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of LoRA's inputs that training zeroes at random")
    target_modules: list[str] = Field(
        min_length=1,
        description="names, or ends of names, of the linear layers and embeddings that get LoRA; packaged models have "
        "a default",
    )
    shard_ranks: dict[str, Positive] = Field(
        default_factory=dict, description="ranks up to `rank` for single shards, such as {s001: 4}"
    )

    @property
    def scaling(self) -> float:
        """The factor of the product B·A in the model: alpha / rank, also for shards of a lower rank."""
        return self.alpha / self.rank

    def rank_of(self, shard: str) -> int:
        """The rank at which a shard is trained."""
        return self.shard_ranks.get(shard, self.rank)

    @model_validator(mode="after")
    def _ranks_fit(self) -> Self:
        for shard, rank in sorted(self.shard_ranks.items()):
            if rank > self.rank:
                raise ValueError(f"shard_ranks: {shard} has rank {rank}, which exceeds lora.rank {self.rank}")
        return self


class TrainingSpec(Value):
    """How a node trains one shard in one round."""

    steps: Positive = Field(default=40, description="optimizer steps per shard and round")
    batch_size: Positive = Field(default=16, description="rows per forward pass")
    gradient_accumulation: Positive = Field(default=1, description="forward passes per optimizer step")
    max_length: Positive = Field(default=64, description="tokens per row; longer rows are cut")
    learning_rate: float = Field(default=1e-3, gt=0, description="of AdamW, after the warm-up")
    warmup_steps: int = Field(default=0, ge=0, description="steps over which the learning rate rises to its full value")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        default="constant", description="how the learning rate changes after the warm-up; linear and cosine end at 0"
    )
    weight_decay: float = Field(default=0.0, ge=0, description="of AdamW")
    max_grad_norm: float = Field(default=1.0, gt=0, description="gradients with a larger norm are scaled down to it")
    proximal: float = Field(default=0.0, ge=0, description="FedProx: pull towards the round's base, 0 for none")
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="of the frozen weights and the arithmetic")
    checkpoint_every: Positive = Field(default=10, description="steps between resumable checkpoints")
    seed: int = Field(default=17, ge=0, lt=2**31, description="of the untrained adapter, row order and dropout")


class EvaluationSpec(Value):
    """How a checkpoint is evaluated on the held-out rows."""

    batch_size: Positive = Field(default=64, description="rows per forward pass")
    tolerance: float = Field(default=0.02, ge=0, description="loss may exceed its base's by this share")


class PaymentSpec(Value):
    """The payment of the job, in micro-units of the network's denomination."""

    budget: Positive = Field(description="escrowed when the job is created")
    reward_per_task: Positive = Field(description="amount that one completed task adds to its round's pool")
    scoring: Scoring = Field(default="auto", description="how updates are scored for their pay")


class FleetSpec(Value):
    """The job's requirements for nodes and leases."""

    trusted: bool = Field(
        default=False,
        description="true if every node is trusted; selects the robust rule if aggregation.robust is auto",
    )
    lease_seconds: Positive = Field(
        default=3600, description="a task that is not finished after this time may be reassigned"
    )
    max_attempts: Positive = Field(default=3, description="attempts per task in one round before it is given up")
    progress_seconds: Annotated[Positive, OMIT_DEFAULT] = Field(
        default=300,
        description="a trainer without progress for this long is restarted; after that its task is reassigned",
    )


class JobSpec(Document):
    """One fine-tuning order. Its CID is its identity."""

    name: str = Field(pattern=JOB_NAME, description="lower-case letters, digits, dashes")
    model: ModelSpec
    dataset: DatasetSpec
    lora: LoraSpec
    training: TrainingSpec = TrainingSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    aggregation: AggregationSpec = AggregationSpec()
    fleet: FleetSpec = FleetSpec()
    rounds: int = Field(default=3, gt=0, le=9999, description="how many times every shard is trained")
    payment: PaymentSpec

    @model_validator(mode="after")
    def _labels_fit_the_task(self) -> Self:
        classify = self.model.task == "sequence-classification"
        if classify and (self.dataset.label_column is None or len(set(self.dataset.labels)) < 2):
            raise ValueError("dataset.labels: sequence-classification needs a label_column and two or more labels")
        if len(set(self.dataset.labels)) != len(self.dataset.labels):
            raise ValueError("dataset.labels: a label is listed twice")
        return self

    @model_validator(mode="after")
    def _ranks_fit_the_strategy(self) -> Self:
        mixed = set(self.lora.shard_ranks.values()) - {self.lora.rank}
        if mixed and not self.aggregation.method.mixed_ranks:
            able = ", ".join(name for name, strategy in STRATEGIES.items() if strategy.mixed_ranks)
            raise ValueError(
                f"lora.shard_ranks: {self.aggregation.strategy} needs one rank on all shards; "
                f"for mixed ranks choose aggregation.strategy {able}"
            )
        return self

    @property
    def robust_aggregation(self) -> AggregationSpec:
        """The aggregation with `auto` resolved: untrusted fleets get centered clipping."""
        if self.aggregation.robust.rule != "auto":
            return self.aggregation
        rule = "none" if self.fleet.trusted else "centered-clipping"
        robust = self.aggregation.robust.model_copy(update={"rule": rule})
        return self.aggregation.model_copy(update={"robust": robust})

    @classmethod
    def from_mapping(cls, raw: dict[str, Any]) -> Self:
        """Validate a mapping, after filling in the model's defaults from the catalogue (task, LoRA targets).

        Raises `SpecError`, which names each invalid field.
        """
        try:
            return cls.model_validate(_with_model_defaults(raw))
        except ValidationError as error:
            raise SpecError(f"The job spec is not valid:\n{describe_validation(error, cls)}") from error

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a YAML (or JSON) job spec; raises `SpecError` when it is missing or not valid."""
        return cls.from_mapping(order_part(read_mapping(path)))


def order_part(raw: dict[str, Any]) -> dict[str, Any]:
    """The order in a job's file: `schedule` and `automation` are not part of it, and so change no CID."""
    return {field: value for field, value in raw.items() if field not in (SCHEDULE, AUTOMATION)}


def read_mapping(path: Path) -> dict[str, Any]:
    """Read one YAML mapping; raises `SpecError` naming the file and the line."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise SpecError(f"{path} is not text in UTF-8: {error}.") from error
    except OSError as error:
        raise SpecError(f"Cannot read {path}: {error.strerror}. Give the path of a YAML file.") from error
    except yaml.YAMLError as error:
        raise SpecError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise SpecError(f"{path} must hold a mapping of fields, found {type(raw).__name__}.")
    return raw


def _with_model_defaults(raw: dict[str, Any]) -> dict[str, Any]:
    """Complete a bare `model: NAME`, or a model without a task, from the catalogue of known models."""
    model = raw.get("model")
    if isinstance(model, str):
        model = {"source": model}
    if not isinstance(model, dict) or not isinstance(model.get("source"), str):
        return raw
    known = known_model(model["source"])
    if known is None:
        return {**raw, "model": model}
    lora = raw.get("lora") or {}
    if isinstance(lora, dict):
        lora = {"target_modules": list(known.target_modules), **lora}
    return {**raw, "model": {"task": known.task, **model, "source": known.source}, "lora": lora}


class TaskSpec(Document):
    """One shard in one round for one node (`train`), or one evaluation of checkpoints (`evaluate`)."""

    kind: Literal["train", "evaluate"]
    contract: str
    job_id: JobId = Field(description="the job's number on chain")
    job: Cid = Field(description="CID of the JobSpec")
    model: Cid = Field(description="CID of the ModelManifest")
    round: Positive
    slot: int = Field(ge=0, description="the shard's index; the evaluation's is the number of shards")
    shard: str | None = Field(default=None, description="the shard's key, for training")
    rank: Positive | None = Field(default=None, description="of the shard, for training; null for lora.rank")
    data: Cid = Field(description="CID of the shard or of the held-out rows, in the form that `form` names")
    form: DataForm = "rows"
    rows: Positive
    base: Cid = Field(description="CID of the Checkpoint that training starts from")
    checkpoints: list[Cid] = Field(
        default_factory=list, description="CIDs of Checkpoints to evaluate: the base, the round's, then rivals of it"
    )
    sample_rows: Positive | None = Field(default=None, description="rows that the rivals are judged on; null for all")
    attempt: Positive
    resume: Cid | None = Field(default=None, description="CID of a training checkpoint to resume from")

    @property
    def task_id(self) -> TaskId:
        """Sixteen hex digits, equal for all attempts at the same task; valid in a bus subject and a file name."""
        fixed = self.model_dump(mode="json", exclude={"attempt", "resume"})
        return TaskId(hashlib.sha256(rfc8785.dumps(fixed)).hexdigest()[:16])
