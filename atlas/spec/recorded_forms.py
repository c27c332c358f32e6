"""The equivalent forms of an order: with `aggregation.robust: auto`, and with the rule that it stands for."""

from atlas.spec.job import JobSpec

DEFAULT_RULE = "spectral-filter"
"""The rule that replaces `auto` when a job is opened for an untrusted fleet."""


def as_opened(order: JobSpec) -> JobSpec:
    """The order with the robust rule named, as a job is opened with it, so that a later default changes no job."""
    if order.aggregation.robust.rule != "auto":
        return order
    return _with_rule(order, "none" if order.fleet.trusted else DEFAULT_RULE)


def recorded_forms(order: JobSpec) -> list[JobSpec]:
    """The documents that a job of this order may have been recorded with, the current form first.

    Earlier versions opened jobs with `auto` itself; in these jobs `JobSpec.robust_aggregation` defines its meaning.
    """
    forms = [as_opened(order), order]
    as_auto = _with_rule(order, "auto")
    if as_auto.robust_aggregation == order.aggregation:
        forms.append(as_auto)
    return forms


def _with_rule(order: JobSpec, rule: str) -> JobSpec:
    robust = order.aggregation.robust.model_copy(update={"rule": rule})
    return order.model_copy(update={"aggregation": order.aggregation.model_copy(update={"robust": robust})})
