"""The model card of an exported checkpoint: its origin, its metrics, and how to verify it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atlas.counts import counted
from atlas.documents.manifests import Checkpoint, DatasetManifest, ModelManifest
from atlas.documents.metric_names import measures_of_the_model
from atlas.ids import Cid
from atlas.models.catalogue import known_model
from atlas.spec.job import JobSpec, TaskType

PIPELINES: dict[TaskType, str] = {"sequence-classification": "text-classification", "causal-lm": "text-generation"}
LOADERS: dict[TaskType, str] = {
    "sequence-classification": "AutoModelForSequenceClassification",
    "causal-lm": "AutoModelForCausalLM",
}


@dataclass(frozen=True)
class ModelFacts:
    """The facts about an exported checkpoint."""

    cid: Cid
    checkpoint: Checkpoint
    spec: JobSpec
    model: ModelManifest
    dataset: DatasetManifest
    dataset_cid: Cid
    license: str | None = None
    """The base model's licence."""
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Metrics on the held-out rows, by column of the table, such as `untrained` and `this checkpoint`."""

    @property
    def base_name(self) -> str:
        """The base model's name on the hub, else a name without a local path."""
        kind, _, name = self.model.source.partition(":")
        known = known_model(self.model.source)
        if kind == "path":
            return Path(name).name
        return known.hub or self.model.source if known else name

    @property
    def on_hub(self) -> bool:
        """Whether `base_name` is the name of a repository on the hub that has the base's weights."""
        known = known_model(self.model.source)
        return self.model.source.startswith("hub:") or (known is not None and known.hub is not None)


def model_card(facts: ModelFacts, merged: bool) -> str:
    """The text of a README.md that begins with the hub's metadata; `merged` means a whole model, not an adapter.

    It contains no local path.
    """
    parts = [
        _metadata(facts, merged),
        f"# {facts.spec.name}\n\n{_summary(facts, merged)}",
        f"## Use\n\n```python\n{_usage(facts, merged)}\n```",
        *([f"## Results\n\n{_results(facts)}"] if facts.metrics else []),
        f"## Base model\n\n{_base(facts)}",
        f"## Data\n\n{_data(facts)}",
        f"## Training\n\n{_training(facts)}",
        f"## Verify\n\n{_verify(facts)}",
    ]
    return "\n\n".join(parts) + "\n"


def _metadata(facts: ModelFacts, merged: bool) -> str:
    from huggingface_hub import ModelCardData

    source = facts.spec.dataset.source
    extra: dict[str, Any] = {"base_model_relation": "finetune" if merged else "adapter"} if facts.on_hub else {}
    data = ModelCardData(
        base_model=facts.base_name if facts.on_hub else None,
        datasets=source.removeprefix("hub:").split(":")[0] if source.startswith("hub:") else None,
        library_name="transformers" if merged else "peft",
        license=facts.license,
        metrics=[name for name in _measures(facts) if name != "loss"] or None,
        pipeline_tag=PIPELINES[facts.spec.model.task],
        tags=["atlas-pipelines", "federated-learning", "lora"],
        **extra,
    )
    return f"---\n{data.to_yaml()}\n---"


def _summary(facts: ModelFacts, merged: bool) -> str:
    what = "The whole model, with the adapter merged into its weights" if merged else "A LoRA adapter"
    return (
        f"{what}: {facts.base_name}, fine-tuned for {facts.spec.model.task} by Atlas Pipelines, in federated rounds: "
        f"{facts.checkpoint.round}. Licence of the base model: {facts.license or 'unknown'}."
    )


def _usage(facts: ModelFacts, merged: bool) -> str:
    loader = LOADERS[facts.spec.model.task]
    if merged:
        return (
            f"from transformers import AutoTokenizer, {loader}\n\n"
            f'model = {loader}.from_pretrained("FOLDER")\n'
            'tokenizer = AutoTokenizer.from_pretrained("FOLDER")'
        )
    labels, arguments = "", '"BASE"'
    if facts.spec.model.task == "sequence-classification":
        labels = f"labels = {json.dumps(facts.spec.dataset.labels, ensure_ascii=False)}\n"
        keywords = (
            '"BASE"',
            "id2label=dict(enumerate(labels))",
            "label2id={label: index for index, label in enumerate(labels)}",
            "ignore_mismatched_sizes=True",
        )
        arguments = "\n" + "".join(f"    {one},\n" for one in keywords)
    return (
        f"from peft import PeftModel\nfrom transformers import {loader}, AutoTokenizer\n\n"
        f"{labels}base = {loader}.from_pretrained({arguments})  # {facts.base_name}\n"
        'model = PeftModel.from_pretrained(base, "FOLDER")\n'
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")'
    )


def _measures(facts: ModelFacts) -> list[str]:
    return measures_of_the_model({name for row in facts.metrics.values() for name in row})


def _results(facts: ModelFacts) -> str:
    rows = sorted({int(row["rows"]) for row in facts.metrics.values() if "rows" in row})
    body = [[name, *(_number(row.get(name)) for row in facts.metrics.values())] for name in _measures(facts)]
    return f"On {' or '.join(map(str, rows))} held-out rows, measured by a node of the job:\n\n" + _table(
        ["metric", *facts.metrics], body
    )


def _base(facts: ModelFacts) -> str:
    source = facts.model.source if not facts.model.source.startswith("path:") else f"a folder, {facts.base_name}"
    revision = f", revision {facts.model.revision}" if facts.model.revision else ""
    files = _table(["file", "CID"], [[name, f"`{cid}`"] for name, cid in sorted(facts.model.files.items())])
    where = "" if facts.on_hub else f" {_where(facts)}"
    return f"Source: {source}{revision}. Licence: {facts.license or 'unknown'}.{where}\n\n{files}"


def _where(facts: ModelFacts) -> str:
    """How another user gets a base model that is not on the hub."""
    known = known_model(facts.model.source)
    if known is None:
        return (
            "The base model is a folder that only its owner has: ask for it, or take your own copy of these files, and "
            "give its path as `BASE`."
        )
    return (
        f"The base model is in the Python package `{known.package}`, not on the hub under this name: install it, and "
        "give the folder with its files as `BASE`."
    )


def _data(facts: ModelFacts) -> str:
    source = facts.spec.dataset.source
    name = source if ":" in source else Path(source).name
    shards = facts.dataset.shards
    held = {"rows": "", "sealed": ", sealed: only the job's nodes could read them", "node-local": ", on their nodes"}
    return (
        f"Source: {name}, {counted(sum(shard.rows for shard in shards), 'row')} in "
        f"{counted(len(shards), 'shard')}{held[shards[0].form]}; "
        f"{counted(facts.dataset.holdout.rows, 'row')} held out."
        + (f" Labels: {', '.join(facts.spec.dataset.labels)}." if facts.spec.dataset.labels else "")
    )


def _training(facts: ModelFacts) -> str:
    spec = facts.spec
    return (
        f"{facts.checkpoint.round} of {counted(spec.rounds, 'round')}; each shard "
        f"{counted(spec.training.steps, 'step')} a round, batch "
        f"{spec.training.batch_size} x {spec.training.gradient_accumulation}, learning rate "
        f"{spec.training.learning_rate:g}, {spec.training.precision}. LoRA rank {spec.lora.rank}, alpha "
        f"{spec.lora.alpha}, on {', '.join(spec.lora.target_modules)}. Updates joined by {spec.aggregation.strategy}, "
        f"robust rule {spec.robust_aggregation.robust.rule}."
    )


def _verify(facts: ModelFacts) -> str:
    named: Iterable[tuple[str, str | None]] = [
        ("checkpoint", facts.cid),
        ("adapter", facts.checkpoint.adapter),
        ("round manifest", facts.checkpoint.manifest),
        ("job", facts.checkpoint.job),
        ("dataset", facts.dataset_cid),
        ("base model", facts.model.cid),
    ]
    table = _table(["what", "CID"], [[name, f"`{cid}`"] for name, cid in named if cid])
    return (
        "Each round's checkpoint can be recomputed from the updates that its manifest lists, with a copy of the "
        f"content:\n\n```\natlas verify {facts.cid} --dataset {facts.dataset_cid}\n```\n\n{table}"
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
