"""`atlas chain deploy`: put the contract on a network."""

from typing import Annotated

import typer

from atlas.terminal.json_output import print_json
from atlas_pipelines.cli.chain import network as given
from atlas_pipelines.cli.chain.network import ChainTarget, place
from atlas_pipelines.cli.output import results_console
from chain_bridge.errors import WrongContract
from chain_bridge.networks.contract_version import contract_version
from chain_bridge.networks.deploy import CONTRACT_WASM, deploy_contract
from chain_bridge.networks.networks import EMBEDDED
from resources.errors import CoordinatorError
from resources.local.contract import record_embedded_contract
from resources.local.deployments import deployments, record_deployment
from resources.settings import NETWORK_VARIABLE


def deploy(
    network: given.Name = None,
    url: given.Url = None,
    key: given.KeyFile = None,
    again: Annotated[bool, typer.Option("--again", help="Deploy even if the network already has a contract.")] = False,
    min_stake: Annotated[int, typer.Option(min=0, help="What a node must stake, in micro-units.")] = 0,
    heartbeat_seconds: Annotated[
        int | None,
        typer.Option(min=3, help="How long a node counts as alive without a heartbeat. [30 on this machine, else 300]"),
    ] = None,
    challenge_seconds: Annotated[
        int | None,
        typer.Option(min=0, help="How long a round can be disputed before it is paid. [0 on this machine, else 600]"),
    ] = None,
    challenge_bond: Annotated[int | None, typer.Option(min=0, help="The bond of a challenger, in micro-units.")] = None,
    dispute_seconds: Annotated[int | None, typer.Option(min=1, help="How long a challenge may stay undecided.")] = None,
    unbonding_seconds: Annotated[
        int | None, typer.Option(min=1, help="How long stake stays bound after it is taken out.")
    ] = None,
    jail_seconds: Annotated[int | None, typer.Option(min=1, help="How long a node stays in jail.")] = None,
    abandon_seconds: Annotated[
        int | None,
        typer.Option(
            min=1, help="Time after which nodes may claim pay for a round that its job's owner did not submit."
        ),
    ] = None,
    audit_seconds: Annotated[int | None, typer.Option(min=1, help="How long an audit may stay unanswered.")] = None,
    slash_bps: Annotated[
        int | None,
        typer.Option(
            min=0, max=10_000, help="Share of its stake that a node loses for a result proven wrong, in 1/10,000."
        ),
    ] = None,
    max_batch: Annotated[
        int | None, typer.Option(min=1, max=200, help="The largest number of items in one message.")
    ] = None,
    json: given.Json = False,
) -> None:
    """Upload the contract to a network, instantiate it with these settings, and record its address.

    Settings that are not given have the contract's defaults. The key that deploys administers the contract.
    """
    with place(network, url, key, deployed=False) as here:
        if not again:
            _refuse_second(here)
        near = here.is_local
        address = deploy_contract(
            here.network,
            here.key,
            CONTRACT_WASM,
            heartbeat_seconds=heartbeat_seconds or (30 if near else 300),
            challenge_seconds=challenge_seconds if challenge_seconds is not None else (0 if near else 600),
            min_stake=min_stake,
            challenge_bond=challenge_bond,
            dispute_seconds=dispute_seconds,
            unbonding_seconds=unbonding_seconds,
            jail_seconds=jail_seconds,
            abandon_seconds=abandon_seconds,
            audit_seconds=audit_seconds,
            slash_bps=slash_bps,
            max_batch=max_batch,
        )
        _remember(here, address)
    if json:
        print_json({"network": here.name, "chain_id": here.network.chain_id, "contract": address})
    else:
        results_console().print(f"{here.name} ({here.network.chain_id}): contract {address}")
        results_console().print(_next_step(here))


def _refuse_second(here: ChainTarget) -> None:
    """Raise `CoordinatorError` if the network already has a contract, named or deployed by this coordinator."""
    recorded = deployments(here.home).get(here.name)
    known = recorded.contract if recorded and recorded.chain_id == here.network.chain_id else None
    address = here.network.contract or known
    if address is None:
        return
    try:
        found = contract_version(here.network.model_copy(update={"contract": address}))
    except WrongContract:
        return  # the chain was reset after the deployment
    raise CoordinatorError(
        f"The network {here.name} has the contract {address} ({found.name} {found.version}) already. Its jobs and "
        "money stay there; to deploy another one, add --again."
    )


def _remember(here: ChainTarget, address: str) -> None:
    if here.name == EMBEDDED:
        record_embedded_contract(here.home, address)
    elif here.name != NETWORK_VARIABLE:
        record_deployment(here.home, here.name, here.network.model_copy(update={"contract": address}))


def _next_step(here: ChainTarget) -> str:
    if here.name == NETWORK_VARIABLE:
        return f"Set network.contract to it in the file that ${NETWORK_VARIABLE} names."
    if here.name == EMBEDDED:
        return "The local network uses it from its next start on."
    return f"Use it with: atlas run SPEC --chain {here.name}"
