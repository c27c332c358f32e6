import subprocess
import sys

import pytest

from atlas.aggregation.compression.registry import CODECS
from atlas.aggregation.outer.registry import OPTIMIZERS
from atlas.aggregation.robust.registry import RULES
from atlas.aggregation.strategies.registry import STRATEGIES
from atlas.registry import Registry


@pytest.mark.parametrize("registry", [CODECS, OPTIMIZERS, RULES, STRATEGIES])
def test_each_part_has_the_name_that_it_is_registered_under(registry):
    assert [part.name for part in registry.values()] == list(registry)


def test_an_unknown_name_is_in_no_registry():
    registry = Registry({"tau": "math:tau"})
    assert "tau" in registry
    assert "pi" not in registry
    assert registry.get("pi") is None
    with pytest.raises(KeyError):
        registry["pi"]


def test_names_alone_import_nothing():
    script = (
        "import sys; from atlas.aggregation.settings import AggregationSpec; "
        "AggregationSpec.model_validate({'strategy': 'qr-svd'}); print('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"
