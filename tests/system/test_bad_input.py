"""Bad input is refused before anything is started or written, by the real command; test_bad_orders.py has more."""

import pytest

from resources.jobs.registry import JobRegistry

pytestmark = pytest.mark.system


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
