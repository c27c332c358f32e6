"""Accuracy on the held-out rows."""

from collections.abc import Mapping

from atlas.errors import AtlasError
from atlas.training.evaluate import Candidate, EvaluateRequest, evaluate
from benchmarks.aggregation.federated.rounds import Model
from benchmarks.aggregation.federated.sentiment import Task


def accuracies(task: Task, models: Mapping[str, Model]) -> dict[str, float | None]:
    """The accuracy of each model; None if it cannot be evaluated, such as for a loss that is not finite."""
    return {name: _accuracy(task, model) for name, model in models.items()}


def _accuracy(task: Task, model: Model) -> float | None:
    request = EvaluateRequest(
        spec=task.spec,
        model=task.model,
        rows=task.held_out,
        adapters=[Candidate("candidate", model.adapter, model.merged)],
        cache=task.cache,
        device="cpu",
        threads=1,
    )
    try:
        return evaluate(request, lambda progress: None).metrics["candidate"]["accuracy"]
    except AtlasError:
        return None
