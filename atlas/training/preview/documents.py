"""The question to the process that looks at a model and rows, and its answer. Loads no tensor library."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from atlas.documents.manifests import ModelManifest
from atlas.spec.job import JobSpec


class PreviewValue(BaseModel):
    """A part of the question or of the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ShardRows(PreviewValue):
    """The rows of a shard, and the seed of their order in the first round."""

    key: str
    rows: Path
    seed: int


class PreviewRequest(PreviewValue):
    """An order, the files of its data, and the process that asks."""

    spec: JobSpec
    model: ModelManifest
    cache: Path
    shards: list[ShardRows] = Field(description="empty if the nodes have the rows")
    holdout: Path
    parent: int = Field(description="process id of the process that asks; the other ends with it")


class RowPreview(PreviewValue):
    """One row as the model sees it."""

    text: str = Field(description="the tokens as text, with special tokens")
    label: str | None
    tokens: int = Field(description="tokens that the model gets")
    whole: int = Field(description="tokens of the row before it is cut at training.max_length")


class Memory(PreviewValue):
    """The memory of one task on one kind of device, in bytes; None where it is unknown."""

    task: Literal["train", "evaluate"]
    device: Literal["cpu", "cuda"]
    tensors: int | None = Field(description="weights, adapter, optimizer, and the tensors of a step at their largest")
    libraries: int | None = Field(description="the process with its libraries, before it loads a model")

    @property
    def total(self) -> int | None:
        """The memory of the whole process; None if a part is unknown."""
        return None if self.tensors is None or self.libraries is None else self.tensors + self.libraries


class Preview(PreviewValue):
    """The answer."""

    parameters: int = Field(description="of the base model and the adapter")
    trainable: int = Field(description="parameters that the first round trains, at the rank lora.rank")
    tokens: dict[str, int] = Field(description="by shard: tokens that its task trains on in the first round")
    holdout_tokens: int = Field(description="tokens of the held-out rows, for one evaluated checkpoint")
    rows: list[RowPreview] = Field(description="the first rows that the first shard's task uses")
    warnings: list[str] = Field(default_factory=list)
    memory: list[Memory]


class PreviewAnswer(PreviewValue):
    """The line that the process prints: the answer, or why there is none."""

    preview: Preview | None = None
    refusal: str | None = Field(default=None, description="the sentence of the error that training would end with")
