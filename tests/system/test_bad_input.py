"""Bad input is refused before anything is started or written, with an error that names it and says what to do."""

import pytest

from resources.jobs.registry import JobRegistry

pytestmark = pytest.mark.system

CASES = [
    ({"model": {"source": "package:nosuch", "task": "sequence-classification"}}, ["nosuch", "minilm"]),
    ({"dataset": {"text_column": "body"}}, ["body", "text"]),
    ({"dataset": {"labels": ["bad", "good"]}}, ["negative", "bad"]),
    ({"dataset": {"source": "no/such/file.csv"}}, ["no/such/file.csv"]),
    ({"payment": {"budget": 0}}, ["payment.budget", "greater than 0"]),
    ({"payment": {"budget": 100_000}}, ["100000", "1000000"]),
    ({"aggregation": {"strategy": "alchemy"}}, ["aggregation.strategy", "fedavg"]),
    ({"training": {"stepz": 3}}, ["training.stepz"]),
    ({"training": {"max_length": 100_000}}, ["training.max_length is 100000", "positions for"]),
    ({"lora": {"shard_ranks": {"s009": 2}}, "aggregation": {"strategy": "stack"}}, ["shard_ranks names s009"]),
]


@pytest.mark.parametrize(("change", "words"), CASES, ids=[str(next(iter(change.values()))) for change, _ in CASES])
def test_a_bad_spec_is_refused_by_name(workplace, tiny_spec, change, words):
    place = workplace()
    done = place.run("run", tiny_spec(**change), expect=1)
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert_nothing_began(place)


def test_bad_rows_are_refused(workplace, tiny_spec, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\nfine,positive\n,negative\nfine,neutral\n")
    place = workplace()
    done = place.run("run", tiny_spec(dataset={"source": str(rows), "shard_by": {"rows": 2}}), expect=1)
    assert "2 rows of" in done.stderr
    assert "line 3: the text column 'text' is empty" in done.stderr
    assert "line 4: has the label 'neutral'" in done.stderr
    assert_nothing_began(place)


def assert_nothing_began(place):
    """No job, and no process that was to keep a network: it would have left its log."""
    assert JobRegistry(place.home / "coordinator.db").job("tiny") is None
    assert not (place.home / "logs" / "supervisor.log").exists()
    assert not place.processes("resources.local.supervisor")


def test_an_unreachable_chain_is_named(workplace, tiny_spec, tmp_path):
    network = tmp_path / "network.yaml"
    network.write_text(
        "network: {chain_id: nowhere, url: 'grpc+http://127.0.0.1:9', contract: atlas1qqqq}\n"
        "bus: nats://127.0.0.1:9\n"
        f"content: {tmp_path / 'content'}\n"
    )
    place = workplace(ATLAS_NETWORK=str(network))
    done = place.run("run", tiny_spec(), expect=1)
    assert "127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
