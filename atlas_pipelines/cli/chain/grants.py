"""`atlas chain grant | revoke`: the operator pays the fees of nodes that have no coins."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from atlas.terminal.json_output import print_json
from atlas_pipelines.cli.chain import network as given
from atlas_pipelines.cli.chain.network import place
from atlas_pipelines.cli.output import results_console
from chain_bridge.networks.feegrants import GivenFeeGrants
from resources.local.agent_funds import GRANTED_DAYS, grant_limit

Addresses = Annotated[list[str], typer.Argument(help="The nodes' accounts, as `atlas-node status` shows them.")]


def grant(
    addresses: Addresses,
    limit: Annotated[
        int | None, typer.Option(min=1, help="The largest sum that each may spend, in micro-units. [fees of 100 M gas]")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="How long the grant holds.")] = GRANTED_DAYS,
    network: given.Name = None,
    url: given.Url = None,
    key: given.KeyFile = None,
    json: given.Json = False,
) -> None:
    """Pay these accounts' fees for contract calls, so that a node without coins can start.

    An existing grant of an account is replaced. The node sets `network.fee_granter` to the operator's address.
    """
    with place(network, url, key, deployed=False) as here:
        most = limit or grant_limit(here.network)
        expires = datetime.now(UTC) + timedelta(days=days)
        grants = GivenFeeGrants(here.network, here.key)
        try:
            done = grants.give(addresses, most, expires)
        finally:
            grants.close()
    facts = {"granter": here.key.address, "limit": most, "expires": expires.isoformat(timespec="seconds")}
    if json:
        print_json({**facts, "grantees": sorted(set(addresses)), "transaction": done.txhash})
        return
    results_console().print(
        f"Until {facts['expires']} {here.key.address} pays up to {most:,} {here.network.denom} of fees for each. "
        f"In the settings of each node set network.fee_granter: {here.key.address}",
    )


def revoke(
    addresses: Addresses,
    network: given.Name = None,
    url: given.Url = None,
    key: given.KeyFile = None,
    json: given.Json = False,
) -> None:
    """Stop paying the fees of these accounts."""
    with place(network, url, key, deployed=False) as here:
        grants = GivenFeeGrants(here.network, here.key)
        try:
            done = grants.take_back(addresses)
        finally:
            grants.close()
    if json:
        print_json({"granter": here.key.address, "revoked": sorted(set(addresses)), "transaction": done.txhash})
    else:
        results_console().print(f"{here.key.address} pays no fees for {', '.join(sorted(set(addresses)))} any more.")
