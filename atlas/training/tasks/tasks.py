"""The tasks that a model can be trained for, by their names in a job spec."""

from types import ModuleType

from atlas.training.tasks import causal_lm, sequence_classification

TASKS: dict[str, ModuleType] = {"sequence-classification": sequence_classification, "causal-lm": causal_lm}
