"""Another order under a taken name is refused with the fields that differ."""

import pytest

from atlas.errors import ContentNotFound, SpecError
from resources.jobs.taken_names import changed_fields


def test_each_field_that_differs_is_listed_with_both_values(place, paper_spec):
    place.open(paper_spec())
    other = paper_spec(training={"steps": 77}, aggregation={"quorum": 0.75}, rounds=3)
    with pytest.raises(SpecError) as raised:
        place.open(other)
    lines = str(raised.value).splitlines()
    assert lines[0] == f"The name {other.name!r} is taken by a job with other settings:"
    assert "  aggregation.quorum: 0.5 there, 0.75 here" in lines
    assert any(line.startswith("  training.steps: ") and line.endswith(" there, 77 here") for line in lines)
    assert lines[-1].startswith("Give this order another name (--name NAME")


def test_at_most_ten_fields_are_listed_and_long_values_are_cut(place, paper_spec):
    place.open(paper_spec())
    names = [f"{place_}-{'x' * 200}" for place_ in range(2)]
    training = {"steps": 77, "batch_size": 9, "max_length": 19, "seed": 99, "checkpoint_every": 5, "warmup_steps": 1}
    training |= {"learning_rate": 0.5, "weight_decay": 0.5, "max_grad_norm": 0.5, "proximal": 0.5}
    other = paper_spec(training=training, aggregation={"quorum": 0.75}, lora={"rank": 4, "target_modules": names})
    with pytest.raises(SpecError) as raised:
        place.open(other)
    lines = str(raised.value).splitlines()
    fields = changed_fields(paper_spec(), other)
    assert len(fields) > 10
    assert lines[-2] == f"  and {len(fields) - 10} more"
    assert len(lines) == 13
    assert all(len(line) < 250 for line in lines)


def test_a_recorded_spec_that_is_gone_is_named_by_its_cid(place, paper_spec, monkeypatch):
    job = place.open(paper_spec())
    other = paper_spec(rounds=3)
    monkeypatch.setattr("resources.jobs.taken_names.get_document", _gone)
    with pytest.raises(SpecError, match=f"recorded {job.spec_cid}, given {other.cid}"):
        place.open(other)


def _gone(*_):

    raise ContentNotFound("gone")
