"""A job of this coordinator, and the contract that it is on."""

from collections.abc import Iterator
from contextlib import contextmanager

from atlas.home import AtlasHome
from atlas_pipelines.cli.network import using_network
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.ledger import Ledger
from resources.errors import JobNotFound
from resources.jobs.opened import refuse_other_contract
from resources.jobs.registry import JobRegistry, JobRow
from resources.operator_ledger import open_ledger


@contextmanager
def job_on_chain(name: str) -> Iterator[tuple[JobRow, Ledger]]:
    """A job that was opened here, and a ledger that signs with the operator's key."""
    home = AtlasHome.from_environment()
    row = JobRegistry(home.jobs_database).job(name)
    if row is None:
        raise JobNotFound(f"No job {name!r} was opened here. List the jobs with: atlas job ls")
    with using_network(home) as addresses:
        key = load_or_create_key(home.operator_key, addresses.network.prefix)
        with open_ledger(home, addresses.network, key) as ledger:
            refuse_other_contract(row, ledger.contract)
            yield row, ledger
