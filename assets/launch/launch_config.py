"""The launchpad's configuration for opening a job: a job's file, and settings to change in it."""

from collections.abc import Iterable
from typing import Any

import dagster as dg
from pydantic import Field

from assets.launch.order import parse_changes, read_job_file, read_order, read_raw_order
from atlas.aggregation.compression.registry import CODECS
from atlas.aggregation.outer.registry import OPTIMIZERS
from atlas.aggregation.robust.registry import RULES
from atlas.aggregation.strategies.registry import STRATEGIES
from atlas.spec.job import JobSpec
from resources.jobs.automation import RetrainingRules

FIELDS = {
    "steps": "training.steps",
    "learning_rate": "training.learning_rate",
    "batch_size": "training.batch_size",
    "max_length": "training.max_length",
    "seed": "training.seed",
    "rank": "lora.rank",
    "rounds": "rounds",
    "strategy": "aggregation.strategy",
    "robust": "aggregation.robust",
    "outer": "aggregation.outer",
    "compression": "aggregation.compression",
    "quorum": "aggregation.quorum",
    "budget": "payment.budget",
    "reward_per_task": "payment.reward_per_task",
}


def _names(what: str, names: Iterable[str]) -> str:
    return f"{what}, with its defaults: {', '.join(names)}."


class LaunchConfig(dg.Config):
    """The job to open, if the round's job is not open yet. An empty setting keeps the value of the job's file."""

    spec: str = Field(default="examples/sentiment.yaml", description="Path of the job's YAML file.")
    model: str | None = Field(
        default=None, description="Another base model: minilm, smollm2, hub:ORG/NAME or path:FOLDER."
    )
    steps: int | None = Field(default=None, description="Optimizer steps per shard and round.")
    learning_rate: float | None = Field(default=None, description="Peak learning rate, such as 0.001.")
    batch_size: int | None = Field(default=None, description="Rows per optimizer step.")
    max_length: int | None = Field(default=None, description="Tokens per row; longer rows are cut.")
    seed: int | None = Field(default=None, description="Decides the order of rows and the first adapter.")
    rank: int | None = Field(default=None, description="Rank of the LoRA adapter.")
    rounds: int | None = Field(default=None, description="How many rounds the job has.")
    strategy: str | None = Field(default=None, description=f"How updates become a checkpoint: {', '.join(STRATEGIES)}.")
    robust: str | None = Field(default=None, description=_names("The robust rule", ["auto", "none", *RULES]))
    outer: str | None = Field(default=None, description=_names("The outer optimizer", ["none", *OPTIMIZERS]))
    compression: str | None = Field(default=None, description=_names("How updates are compressed", ["none", *CODECS]))
    quorum: float | None = Field(default=None, description="Share of the shards that must deliver, above 0, up to 1.")
    budget: int | None = Field(default=None, description="Escrow for the whole job, in micro-units.")
    reward_per_task: int | None = Field(default=None, description="Pay for one shard in one round, in micro-units.")
    repeat: str | None = Field(
        default=None,
        description="Name of an opened job to order again under this round's name, with its data read again.",
    )
    settings: list[str] = Field(default=[], description="Any other field of the spec, as FIELD=VALUE lines.")

    def is_default(self) -> bool:
        """Whether the launchpad was left untouched."""
        return self == LaunchConfig()

    def changes(self) -> dict[str, Any]:
        """The settings that were given, as dotted fields of a `JobSpec`."""
        given = {field: getattr(self, name) for name, field in FIELDS.items() if getattr(self, name) is not None}
        return {**given, **parse_changes(self.settings)}

    def order(self, name: str | None) -> JobSpec:
        """The validated order, named `name`; with None, the name in the job's file. Nothing is written.

        Raises `atlas.errors.SpecError` that names each bad field.
        """
        return read_order(self.spec, self.model, self.changes(), name)

    def written_name(self) -> Any:
        """The name in the job's file or the settings, not validated; None if they give it no name."""
        return read_raw_order(self.spec, self.model, self.changes()).get("name")

    def rules(self) -> RetrainingRules:
        """When the job is ordered again, as its file has it; a repeated order has no rules.

        Raises as `order` does.
        """
        if self.repeat is not None:
            return RetrainingRules()
        return read_job_file(self.spec, self.model, self.changes()).rules
