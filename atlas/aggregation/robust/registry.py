"""All robust rules, by the name that a job spec gives. atlas/spec/recorded_forms.py replaces `auto` by a name."""

from typing import TYPE_CHECKING

from atlas.registry import Registry

if TYPE_CHECKING:
    from atlas.aggregation.robust.rule import Rule

_HERE = "atlas.aggregation.robust"
RULES: "Registry[Rule]" = Registry(
    {
        "spectral-filter": f"{_HERE}.spectral_filter:RULE",
        "centered-clipping": f"{_HERE}.centered_clipping:RULE",
        "trimmed-mean": f"{_HERE}.order_statistics:TRIMMED_MEAN",
        "median": f"{_HERE}.order_statistics:MEDIAN",
        "multi-krum": f"{_HERE}.multi_krum:RULE",
        "fltrust": f"{_HERE}.fltrust:RULE",
    }
)
