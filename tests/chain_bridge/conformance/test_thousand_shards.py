"""1,000 shards over 50 nodes: assigned, done, settled and paid within the bounds that the design promises."""

from contextlib import ExitStack

import pytest

from benchmarks.chain import deploy, embedded, open_fleet, open_operator, settle_shards, wasmd

MOST_TRANSACTIONS, MOST_GAS = 65, 12_000_000


def run(chain, folder):
    """(messages, gas) of each transaction, once the books are seen to be right."""
    with chain(folder) as (network, key), ExitStack() as opened:
        network = deploy(network, key)
        fleet = open_fleet(network, key, folder, opened)
        operator = opened.enter_context(open_operator(network, key, folder))
        used = settle_shards(operator, fleet)
        job, totals = operator.job(1), operator.totals()
        assert (job.paid, job.reserved, job.free) == (1_000_000, 0, 1000)
        assert (totals.withdrawn, totals.credit) == (1_000_000, 0)
        return used


def check_bounds(used):
    assert len(used) <= MOST_TRANSACTIONS
    assert sum(gas for _, gas in used) <= MOST_GAS


@pytest.mark.slow
def test_the_embedded_chain_stays_within_the_bounds(tmp_path):
    used = run(embedded, tmp_path)
    check_bounds(used)


@pytest.mark.wasmd
def test_wasmd_uses_about_what_was_estimated(tmp_path, localnet_is_built, report):
    folders = [tmp_path / name for name in ("embedded", "wasmd")]
    for folder in folders:
        folder.mkdir()
    estimated, measured = run(embedded, folders[0]), run(wasmd, folders[1])
    assert [messages for messages, _ in measured] == [messages for messages, _ in estimated]
    estimate, measurement = (sum(gas for _, gas in used) for used in (estimated, measured))
    report(f"1,000 shards over 50 nodes: {len(measured)} transactions, as estimated")
    report(f"1,000 shards over 50 nodes: gas {measurement:,} on wasmd, {estimate:,} estimated")
    check_bounds(estimated)
    check_bounds(measured)
    assert measurement == pytest.approx(estimate, rel=0.1)
