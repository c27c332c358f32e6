"""All robust rules, by the name that a job spec gives."""

from atlas.aggregation.robust import centered_clipping, fltrust, median, multi_krum, spectral_filter, trimmed_mean
from atlas.aggregation.robust.rule import Rule

RULES: dict[str, Rule] = {
    module.RULE.name: module.RULE
    for module in (spectral_filter, centered_clipping, trimmed_mean, median, multi_krum, fltrust)
}
