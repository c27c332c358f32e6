from atlas.aggregation.robust.registry import RULES


def test_every_rule_has_its_name_a_summary_and_one_function():
    assert list(RULES) == ["spectral-filter", "centered-clipping", "trimmed-mean", "median", "multi-krum", "fltrust"]
    for name, rule in RULES.items():
        assert rule.name == name
        assert rule.summary
        assert (rule.coefficients is None) != (rule.columns is None)


def test_only_fltrust_needs_a_reference():
    assert [name for name, rule in RULES.items() if rule.needs_reference] == ["fltrust"]
