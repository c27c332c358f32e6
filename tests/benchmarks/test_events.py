"""What Dagster's records of a round cost, by the number of shards; and that the benchmark of it runs."""

import dagster as dg
import pytest

from benchmarks.events import Meter, made_job, write_round

pytestmark = pytest.mark.slow

EVENT = 8
"""Most SQL statements for a shard's event with its log line."""


def statements(shards: int, folder) -> dict[str, int]:
    """The statements of each part of a round."""
    folder.mkdir()
    with Meter() as meter, dg.DagsterInstance.from_config(str(folder)) as instance:
        write_round(instance, made_job(shards), meter)
        recorded = instance.fetch_materializations(dg.AssetKey("shard_adapter"), limit=100).records
        assert len(recorded) == shards, "each adapter is recorded once"
    return {part: count for part, (_, count) in meter.parts.items()}


def test_each_shard_costs_its_own_event_and_no_query(tmp_path):
    few, many = statements(4, tmp_path / "few"), statements(12, tmp_path / "many")
    growth = {part: (many[part] - few[part]) / 8 for part in few}
    assert growth["register the partitions"] == 0
    assert growth["open it again, in the next round"] == 0
    assert growth["repeat the round: nothing is new"] <= 1, "the log line"
    assert growth["open the job: dataset and its shards"] <= EVENT
    assert growth["train: one line and one adapter per shard, the manifest"] <= EVENT
