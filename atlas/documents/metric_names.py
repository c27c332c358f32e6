"""The names in a receipt's metrics: those that measure the model, and those about the measurement."""

from collections.abc import Iterable

CHANGE_ERROR = "_change_error"
"""Behind a metric's name: the standard error of its difference to the base on the same rows."""
_ABOUT_THE_MEASUREMENT = frozenset({"rows", "reference_loss"})


def measures_of_the_model(names: Iterable[str]) -> list[str]:
    """The names that measure a model, such as its loss, sorted; without the rows and the standard errors."""
    return sorted(name for name in names if name not in _ABOUT_THE_MEASUREMENT and not name.endswith(CHANGE_ERROR))
