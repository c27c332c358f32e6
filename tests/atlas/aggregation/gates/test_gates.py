import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from atlas.aggregation.files import changes
from atlas.aggregation.gates.gates import (
    Inspected,
    InspectedUpdate,
    Refusal,
    check_round,
    copy_refusal,
    expected_schema,
    growth_refusal,
    inspect_update,
    norm_refusal,
    schema_of,
)
from atlas.aggregation.gates.sketch import Sketch, likeness
from atlas.content.format.cid import cid_of_bytes, cid_of_file
from atlas.errors import AggregationError

A, B, HEAD = "model.query.lora_A.weight", "model.query.lora_B.weight", "model.classifier.weight"
RANK, SEED = 4, "the round's base"


def base_tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    shapes = {A: (RANK, 300), B: (700, RANK), HEAD: (3, 500)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def write(tmp_path):
    """Write tensors under a name; `None` leaves one out."""

    def write(name: str, tensors: dict):
        path = tmp_path / f"{name}.safetensors"
        kept = {key: np.ascontiguousarray(value) for key, value in tensors.items() if value is not None}
        save_file(kept, path, metadata={"format": "pt"})
        return path

    return write


@pytest.fixture
def base(write):
    return write("base", base_tensors())


def change(seed: int, scale: float = 0.01) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0, scale, value.shape).astype(np.float32) for name, value in base_tensors().items()}


def moved(delta: dict[str, np.ndarray], rank: int = RANK) -> dict[str, np.ndarray]:
    """The base at a rank, moved by a change of the whole base."""
    whole = {name: value + delta[name] for name, value in base_tensors().items()}
    return {A: whole[A][:rank], B: whole[B][:, :rank], HEAD: whole[HEAD]}


def length(delta: dict[str, np.ndarray]) -> float:
    return math.sqrt(sum(float(np.sum(np.square(value, dtype=np.float64))) for value in delta.values()))


def accept(path, base, frozen=None, rank=RANK) -> Inspected:
    found = inspect_update(path, base, frozen, rank, SEED)
    assert isinstance(found, Inspected), found
    return found


def refuse(path, base, frozen=None, rank=RANK) -> Refusal:
    found = inspect_update(path, base, frozen, rank, SEED)
    assert isinstance(found, Refusal)
    return found


def test_an_honest_update_passes_with_its_length(write, base):
    tensors = moved(change(2))
    found = accept(write("honest", tensors), base)
    start = base_tensors()
    assert found.norm == pytest.approx(length({name: value - start[name] for name, value in tensors.items()}), rel=1e-5)
    assert found.size == sum(value.size for value in tensors.values())
    assert np.linalg.norm(found.sketch) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("read", [4096, 8192])
@pytest.mark.parametrize("largest_kept", [0, 10_000])
def test_neither_a_base_too_large_to_be_kept_nor_smaller_blocks_matter(write, base, monkeypatch, read, largest_kept):
    honest = write("honest", moved(change(2)))
    kept = accept(honest, base)
    monkeypatch.setattr(changes, "LARGEST_KEPT", largest_kept)
    monkeypatch.setattr(changes, "READ", read)
    monkeypatch.setattr(changes, "BLOCK", 4096)
    found = accept(honest, base)
    assert found.norm == pytest.approx(kept.norm, rel=1e-6)
    np.testing.assert_allclose(found.sketch, kept.sketch, atol=1e-5)


def test_the_base_of_the_next_round_is_read_anew(write, base):
    honest = write("honest", moved(change(2)))
    assert accept(honest, base).norm > 0
    assert accept(honest, write("next", moved(change(2)))).norm == 0


def test_the_untouched_base_passes_with_length_zero(base):
    found = accept(base, base)
    assert found.norm == 0
    assert not found.sketch.any()


@pytest.mark.parametrize(
    ("attack", "gate", "words"),
    [
        ({B: None}, "schema", f"lacks 1 of 3 tensors, first {B}"),
        ({"extra": np.ones(1, np.float32)}, "schema", "1 unexpected tensors, first extra"),
        (
            {HEAD: None, "model.Classifier.weight": base_tensors()[HEAD]},
            "schema",
            f"lacks 1 of 3 tensors, first {HEAD}",
        ),
        ({B: np.zeros((700, RANK + 1), np.float32)}, "schema", "F32[700, 5], expected F32[700, 4]"),
        ({HEAD: np.zeros((500, 3), np.float32)}, "schema", "F32[500, 3], expected F32[3, 500]"),
        ({A: np.ones((RANK, 300), np.float16)}, "schema", "F16[4, 300], expected F32[4, 300]"),
        ({A: np.full((RANK, 300), np.nan, np.float32)}, "finite", f"{A} holds NaN or infinity in 1200 of 1200 numbers"),
        ({B: np.full((700, RANK), -np.inf, np.float32)}, "finite", f"{B} holds NaN or infinity"),
        ({HEAD: np.full((3, 500), 3e38, np.float32)}, "finite", "by more than float32 can square"),
    ],
)
def test_an_attack_is_refused_by_name(write, base, attack, gate, words):
    refusal = refuse(write("bad", moved(change(2)) | attack), base)
    assert refusal.gate == gate
    assert words in refusal.reason


@pytest.mark.parametrize("where", [0, 1, -1])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [A, B, HEAD])
def test_one_number_is_enough_to_be_refused(write, base, name, where, value):
    tensors = moved(change(2))
    tensors[name].flat[where] = value
    refusal = refuse(write("bad", tensors), base)
    assert refusal.gate == "finite"
    assert refusal.reason == f"{name} holds NaN or infinity in 1 of {tensors[name].size} numbers, expected none"


@pytest.mark.parametrize("bytes_", [b"", b"not tensors at all", b"\xff" * 64])
def test_a_file_that_is_no_safetensors_is_refused(base, tmp_path, bytes_):
    junk = tmp_path / "junk.safetensors"
    junk.write_bytes(bytes_)
    assert refuse(junk, base).gate == "readable"


def test_what_strangers_wrote_is_shown_as_plain_text(write, base):
    name = "x\x1b[2J\n" + "y" * 5000
    refusal = refuse(write("bad", moved(change(2)) | {name: np.ones(1, np.float32)}), base)
    assert refusal.reason.startswith("has 1 unexpected tensors, first x\ufffd[2J yyy")
    assert len(refusal.reason) == 500
    assert Refusal("receipt", "a \ud800 b").reason == "a \ufffd b"


def test_a_torn_upload_is_refused(write, base):
    torn = write("torn", moved(change(2)))
    torn.write_bytes(torn.read_bytes()[:-1])
    assert refuse(torn, base).gate == "readable"


def test_a_base_that_cannot_be_read_is_nobodys_fault(write, tmp_path):
    with pytest.raises(AggregationError):
        inspect_update(write("honest", moved(change(2))), tmp_path / "missing", None, RANK, SEED)


@pytest.mark.parametrize("frozen", ["A", "B"])
def test_a_frozen_factor_is_neither_expected_nor_accepted(write, base, frozen):
    left_out = {"A": A, "B": B}[frozen]
    whole = moved(change(2))
    half = write("half", whole | {left_out: None})
    assert set(expected_schema(base, frozen, RANK)) == {A, B, HEAD} - {left_out}
    assert accept(half, base, frozen).size == base_tensors()[HEAD].size + whole[{"A": B, "B": A}[frozen]].size
    assert "unexpected tensors" in refuse(write("whole", whole), base, frozen).reason


def test_a_lower_rank_is_measured_against_the_first_rows_and_columns(write, base):
    delta = change(2)
    low = write("low", moved(delta, rank=2))
    part = {A: delta[A][:2], B: delta[B][:, :2], HEAD: delta[HEAD]}
    assert accept(low, base, rank=2).norm == pytest.approx(length(part), rel=1e-4)
    assert f"{A} is F32[2, 300], expected F32[4, 300]" in refuse(low, base).reason
    assert expected_schema(base, None, 2) == schema_of(low)


def test_a_rank_above_the_bases_is_an_error(base):
    with pytest.raises(AggregationError, match="rank 4 only"):
        expected_schema(base, None, 5)


def test_a_scaled_update_is_refused_and_honest_ones_are_not():
    honest = [1.0, 1.2, 0.8, 1.1]
    assert norm_refusal(4.0, honest, 5.0) is None
    refusal = norm_refusal(100.0, honest, 5.0)
    assert refusal is not None
    assert refusal.gate == "norm"
    assert "changes its base by 100, 95.2 times the median of 4 updates (1.05); expected at most 5" in refusal.reason


def test_two_lengths_and_a_median_of_zero_prove_nothing():
    assert norm_refusal(100.0, [1.0, 1.0], 5.0) is None
    assert norm_refusal(100.0, [0.0, 0.0, 0.0, 1.0], 5.0) is None


def test_where_nothing_else_can_be_compared_the_shortest_change_of_the_round_before_is_the_measure():
    assert growth_refusal(4.9, [1.0, 9.0], 5.0, usual=2.0) is None
    refusal = growth_refusal(6.0, [9.0, 1.0], 5.0, usual=2.0)
    assert refusal is not None
    assert refusal.gate == "norm"
    assert "by 6; the shortest change of the round before was 1, and a round of fewer than 3" in refusal.reason
    assert "at most 5 times that, or 2 where that is more" in refusal.reason


@pytest.mark.parametrize("before", [[], [0.0], [1e-9, 1.0]], ids=["none", "nothing", "tiny"])
def test_what_steps_usually_reach_is_never_refused(before):
    assert growth_refusal(1.0, before, 5.0, usual=1.0) is None


def test_in_a_first_round_nothing_is_compared():
    assert growth_refusal(1e9, [], 5.0, usual=1.0) is None


def test_liars_who_come_first_do_not_shut_out_the_honest():
    assert norm_refusal(1.0, [1e-6] * 3, 5.0, expected=10) is None
    assert norm_refusal(1.0, [1e-6] * 3 + [1.0] * 4, 5.0, expected=10) is None
    assert norm_refusal(100.0, [1e-6] * 3 + [1.0] * 4, 5.0, expected=10) is not None


@given(
    honest=st.lists(st.floats(0.5, 2.0), min_size=3, max_size=20),
    false=st.lists(st.floats(100, 1e30), max_size=20),
)
def test_a_whole_round_keeps_the_honest_and_drops_the_scaled(honest, false):
    false = false[: (len(honest) - 1) // 2]
    norms = {f"s{number:03d}": value for number, value in enumerate([*honest, *false])}
    refused = check_round(norms, 5.0)
    assert set(refused) == set(list(norms)[len(honest) :])
    assert {verdict.gate for verdict in refused.values()} <= {"norm"}


def test_a_round_of_two_has_no_median():
    assert check_round({"s000": 1.0, "s001": 1e9}, 5.0) == {}


@pytest.fixture
def deliver(write, base):
    """A delivery of a shard: `deliver("s000", tensors)`, of node and rows of the shard's name unless told."""

    def deliver(shard: str, tensors: dict, node: str = "", data: str = "", rank: int = RANK) -> InspectedUpdate:
        path = write(shard, tensors)
        rows = cid_of_bytes((data or shard).encode())
        return InspectedUpdate(shard, node or shard, rows, cid_of_file(path), path, accept(path, base, rank=rank))

    return deliver


def noisy(delta: dict, share: float, seed: int = 99) -> dict:
    """A change with so much noise of its own length that the cosine is 1 / √(1 + share²)."""
    noise = change(seed)
    factor = share * length(delta) / length(noise)
    return {name: value + np.float32(factor) * noise[name] for name, value in delta.items()}


@pytest.mark.parametrize("share", [0.0, 1e-6, 0.01, 0.1])
def test_a_copy_with_a_little_noise_is_refused(deliver, base, share):
    original = deliver("s001", moved(change(2)))
    others = [deliver(f"s{number:03d}", moved(change(number))) for number in range(3, 8)]
    refusal = copy_refusal(deliver("s000", moved(noisy(change(2), share))), [*others, original], base, 0.99)
    assert refusal is not None
    assert refusal.gate == "copy"
    assert "shard s001" in refusal.reason


def test_a_copy_that_was_scaled_is_a_copy(deliver, base):
    doubled = {name: 2 * value for name, value in change(2).items()}
    refusal = copy_refusal(deliver("s000", moved(doubled)), [deliver("s001", moved(change(2)))], base, 0.99)
    assert refusal is not None
    assert "expected at most 0.99" in refusal.reason


@pytest.mark.parametrize("share", [0.2, 0.484, 2.0])  # cosines 0.98, 0.9, 0.45
def test_honest_updates_that_are_similar_pass(deliver, base, share):
    earlier = [deliver(f"s{number:03d}", moved(noisy(change(2), share, 50 + number))) for number in range(5)]
    assert copy_refusal(deliver("s009", moved(noisy(change(2), share))), earlier, base, 0.99) is None


def test_one_node_and_equal_rows_may_give_equal_bytes(deliver, base):
    original = deliver("s001", moved(change(2)), node="n1", data="rows")
    assert copy_refusal(deliver("s002", moved(change(2)), node="n1"), [original], base, 0.99) is None
    assert copy_refusal(deliver("s003", moved(change(2)), node="n3", data="rows"), [original], base, 0.99) is None
    assert copy_refusal(deliver("s004", moved(change(2)), node="n4"), [original], base, 0.99) is not None


def test_ranks_are_compared_with_their_like(deliver, base):
    original = deliver("s001", moved(change(2), rank=2), rank=2)
    assert copy_refusal(deliver("s002", moved(change(2))), [original], base, 0.99) is None
    copied = deliver("s003", moved(noisy(change(2), 0.01), rank=2), rank=2)
    assert copy_refusal(copied, [original], base, 0.99) is not None


def test_updates_that_change_nothing_are_copies_of_each_other(deliver, base):
    idle = deliver("s001", base_tensors())
    assert copy_refusal(deliver("s002", base_tensors()), [idle], base, 0.99) is not None
    assert copy_refusal(deliver("s003", moved(change(2))), [idle], base, 0.99) is None


def test_a_sketch_raises_suspicion_and_the_files_decide(deliver, base):
    """A sketch that is equal by accident, or made so on purpose, shuts nobody out."""
    original, late = deliver("s001", moved(change(2))), deliver("s002", moved(change(3)))
    forged = Inspected(RANK, late.inspected.size, late.inspected.norm, original.inspected.sketch)
    late = InspectedUpdate(late.shard, late.node, late.data, late.adapter, late.path, forged)
    assert copy_refusal(late, [original], base, 0.99) is None


@given(share=st.floats(0, 3), seed=st.integers(0, 2**32 - 1))
def test_sketches_have_about_the_cosines_of_what_they_stand_for(share, seed):
    rng = np.random.default_rng(seed)
    one = rng.normal(size=50_000).astype(np.float32)
    two = (one + share * rng.normal(size=50_000)).astype(np.float32)
    sketches = []
    for values in (one, two):
        sketch = Sketch("seed")
        for part in np.split(values, [8192, 32768]):
            sketch.add(part)
        sketches.append(sketch.direction())
    cosine = float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))
    assert likeness(*sketches) == pytest.approx(cosine, abs=0.12)
