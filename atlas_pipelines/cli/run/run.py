"""`atlas run`: train a job, round by round, on the local network or another one."""

import os
import time
from contextlib import AbstractContextManager
from typing import Annotated

import dagster as dg
import typer
from rich.console import Console

from assets import partitions
from assets.launch.launch_config import LaunchConfig
from assets.launch.order import find_spec
from assets.recorded.failed_checks import failed_checks
from atlas.content.places.open import open_kept_store
from atlas.home import AtlasHome
from atlas.spec.job import JobSpec
from atlas.spec.recorded_forms import recorded_forms
from atlas.terminal.commands import CommandStopped
from atlas.terminal.json_output import print_json
from atlas_pipelines.cli.content.open import open_content
from atlas_pipelines.cli.logs import log_to_file
from atlas_pipelines.cli.network import Agents, Chain, Ipfs, Nodes, Replicas, using_network
from atlas_pipelines.cli.output import notes_console, results_console
from atlas_pipelines.cli.run.steps import Steps
from atlas_pipelines.cli.run.tables import print_summary
from atlas_pipelines.cli.run.watching import Watching
from atlas_pipelines.dagster_home import prepare_dagster_home
from atlas_pipelines.execution import execute_round, open_instance
from chain_bridge.ledger import Ledger
from resources.jobs.opened import load_job, refuse_other_contract
from resources.jobs.order_checks import check_order
from resources.jobs.registry import JobRegistry
from resources.jobs.taken_names import refuse_other_order
from resources.local.network_watch import NetworkWatch
from resources.reports.summary import RoundCheck, Summary, summarize
from resources.settings import Addresses


def run(
    spec: Annotated[str, typer.Argument(help="The job's YAML file.")],
    model: Annotated[
        str | None, typer.Option(help="Another base model: minilm, smollm2, hub:ORG/NAME or path:FOLDER.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="How many rounds.")] = None,
    name: Annotated[str | None, typer.Option(help="Another name for the job.")] = None,
    agents: Agents = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads per task of a local agent.")] = 1,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field of the spec, such as training.steps=10.")
    ] = None,
    chain: Chain = None,
    ipfs: Ipfs = None,
    replicas: Replicas = 1,
    nodes: Nodes = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout at the end.")] = False,
) -> None:
    """Train a job and show the results of each round. A job that is run again continues where it stopped."""
    lines = [*(settings or []), *([f"name={name}"] if name else [])]
    config = LaunchConfig(spec=str(find_spec(spec).absolute()), model=model, rounds=rounds, settings=lines)
    order = config.order(None)
    home = AtlasHome.from_environment()
    console = notes_console()
    watch = NetworkWatch(console.print, Steps(console))
    network = using_network(home, agents, threads, chain, ipfs, replicas, nodes, watch)
    try:
        summary, denomination = train(order, config, home, network, console)
    except KeyboardInterrupt:
        raise CommandStopped("Stopped. Run the same command again to continue where it stopped.") from None
    if json:
        print_json(summary.model_dump(mode="json"))
    else:
        print_summary(summary, denomination, results_console())


def train(
    order: JobSpec, config: LaunchConfig, home: AtlasHome, network: AbstractContextManager[Addresses], console: Console
) -> tuple[Summary, str]:
    """Run every round that is not settled yet; return the job's state, and the denomination that it is paid in.

    An invalid order, or one whose name another order has taken, is refused before the network is entered.
    """
    started = time.monotonic()
    registry = JobRegistry(home.jobs_database)
    if (taken := registry.job(order.name)) is not None:
        refuse_other_order(taken, order, open_content(home))
    else:
        check_order(order, home, Steps(console))
    dagster_home = prepare_dagster_home(home, os.environ)
    log_to_file(home.log)
    with (
        network as addresses,
        open_instance(dagster_home) as instance,
        Watching(console) as watching,
    ):
        ledger = Ledger(addresses.network)
        if taken is not None:
            refuse_other_contract(taken, ledger.contract)
        checks: list[RoundCheck] | None = None
        for number in range(1, order.rounds + 1):
            key = partitions.round_key(order.name, number)
            if _is_settled(instance, key, order, number, registry, ledger):
                watching.note(f"{key} was settled before.")
                continue
            watching.begin(f"{key}, {number} of {order.rounds}")
            result = execute_round(instance, key, config, watching, home.logs / f"{key}.log")
            watching.end()
            found = failed_checks(result.get_asset_check_evaluations())
            checks = [*(checks or []), *(RoundCheck(round=number, **dict(one)) for one in found)]
        store = open_kept_store(addresses.content, home.content)
        job = load_job(order.name, store, registry, ledger.contract)
        summary = summarize(job, registry, store, ledger)
    facts = {"seconds": round(time.monotonic() - started, 3), "failed_checks": checks}
    return summary.model_copy(update=facts), addresses.network.denom


def _is_settled(
    instance: dg.DagsterInstance, key: str, order: JobSpec, number: int, registry: JobRegistry, ledger: Ledger
) -> bool:
    """Whether a round of exactly this order is recorded as settled, both on the chain and in this Dagster instance."""
    row = registry.job(order.name)
    if row is None or row.spec_cid not in [form.cid for form in recorded_forms(order)]:
        return False
    ended = ledger.round(row.job_id, number)
    return (
        ended is not None
        and ended.settled_at is not None
        and key in instance.get_materialized_partitions(dg.AssetKey("reward_settlement"))
    )
