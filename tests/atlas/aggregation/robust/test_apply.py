import os
import subprocess
import sys

import numpy as np
import pytest

from atlas.aggregation.robust.apply import apply_rule
from atlas.aggregation.robust.registry import RULES
from atlas.aggregation.robust.settings import RobustSpec
from atlas.errors import AggregationError
from tests.support.aggregation.updates import attacked, cosine, geometry, honest

BY_COEFFICIENTS = [name for name, rule in RULES.items() if rule.coefficients]


def applied(name, changes, weights=None, reference=None, **settings):
    shards = [f"s{place:03d}" for place in range(len(changes))]
    spec = RobustSpec(rule=name, **settings)
    return apply_rule(RULES[name], geometry(changes, weights, reference), spec, shards, "seed")


@pytest.mark.parametrize("name", ["spectral-filter", "centered-clipping", "multi-krum"])
def test_whoever_lies_gains_little_from_the_largest_shards(name):
    """The three largest of ten shards hold 62 % of the rows."""
    weights = [2000, 2100, 2200, *[550] * 7]
    changes = honest(10, 1.0, 11)
    truth, forged = changes[3:].mean(axis=0), attacked(changes, 3, "strong sign flip")
    assert cosine(np.average(forged, axis=0, weights=weights), truth) < 0
    assert cosine(applied(name, forged, weights) @ forged, truth) > 0.95


@pytest.mark.parametrize("name", ["spectral-filter", "centered-clipping", "multi-krum"])
def test_buckets_keep_false_updates_from_the_result(name):
    changes = honest(20, 1.0, 11)
    truth, forged = changes[3:].mean(axis=0), attacked(changes, 3, "strong sign flip")
    found = applied(name, forged, bucket_size=2, tolerated=0.15)
    assert cosine(found @ forged, truth) > 0.9
    assert found.min() >= 0 and found.sum() <= 1 + 1e-12


@pytest.mark.parametrize("name", BY_COEFFICIENTS)
def test_coefficients_are_shares_for_any_number_of_updates(name):
    for count in range(1, 9):
        *changes, reference = honest(count + 1, 1.0, count)
        for size in (1, 2):
            found = applied(name, np.array(changes), reference=reference, bucket_size=size, tolerated=0.2)
            assert found.shape == (count,)
            assert found.min() >= 0 and 0 < found.sum() <= 1 + 1e-12


def test_a_rule_for_columns_has_no_coefficients():
    with pytest.raises(AggregationError, match="median"):
        applied("median", honest(3, 1.0, 1))


def test_a_missing_reference_is_named():
    with pytest.raises(AggregationError, match="fltrust"):
        applied("fltrust", honest(3, 1.0, 1))


PROGRAM = """
import hashlib
import numpy as np
from atlas.aggregation.robust.apply import apply_rule
from atlas.aggregation.robust.registry import RULES
from atlas.aggregation.robust.rule import Geometry
from atlas.aggregation.robust.settings import RobustSpec

rng = np.random.Generator(np.random.Philox(1))
changes = rng.integers(-1000, 1000, (201, 64))  # integers, so that the Gram matrix is exact
gram = (changes @ changes.T).astype(np.float64)
shape = Geometry(np.full(200, 1 / 200), gram[:200, :200], gram[:200, 200], float(gram[200, 200]))
digest = hashlib.sha256()
for name, rule in RULES.items():
    for size in (1, 3):
        spec = RobustSpec(rule=name, tolerated=0.1, bucket_size=size)
        if rule.coefficients:
            digest.update(apply_rule(rule, shape, spec, [f"s{i}" for i in range(200)], "seed").tobytes())
        else:
            digest.update(rule.columns(changes[:200].astype(np.float32) / 7, spec).tobytes())
print(digest.hexdigest())
"""


def test_threads_and_vector_instructions_do_not_change_a_bit():
    def run(**changed):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=os.environ | changed, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    plain = run(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    assert len(plain) == 64
    assert run(OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="2") == plain
    simd = np.show_config("dicts")["SIMD Extensions"].get("found", [])
    assert run(NPY_DISABLE_CPU_FEATURES=" ".join(simd)) == plain
