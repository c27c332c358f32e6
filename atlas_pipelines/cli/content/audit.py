"""`atlas content audit`: ask storage nodes to prove that they hold what they have announced."""

import secrets
from typing import Annotated, Any

import typer

from atlas.counts import counted
from atlas.terminal.json_output import print_json
from atlas.terminal.tables import numbers, print_table, texts
from atlas_pipelines.cli.chain import network as given
from atlas_pipelines.cli.chain.network import place
from atlas_pipelines.cli.content.open import Ipfs, Json, open_content
from atlas_pipelines.cli.output import results_console
from chain_bridge.client.messages import Holding
from node_agent.chain.standing import moment
from resources.operator_ledger import need_ownership, open_ledger
from resources.retention.audits import Audited, audit_storage

HOUR = 3600.0
NONCE_BYTES = 32


def audit(
    hours: Annotated[float, typer.Option(min=0, help="Audit content whose last proof is older than this.")] = 24.0,
    limit: Annotated[int, typer.Option(min=0, help="The largest number of audits to open; 0 opens none.")] = 20,
    network: given.Name = None,
    url: given.Url = None,
    key: given.KeyFile = None,
    ipfs: Ipfs = None,
    json: Json = False,
) -> None:
    """Ask storage nodes to prove that they hold what they announced, and end the audits that were not answered in time.

    By the contract's owner, for contents that are on this machine. A node that gives no proof within the contract's
    audit time loses the announcement and 5 points of reputation.
    """
    with place(network, url, key) as here, open_ledger(here.home, here.network, here.key) as ledger:
        need_ownership(ledger, "audits stored content")
        store = open_content(here.home, ipfs)
        done = audit_storage(ledger, store, hours * HOUR, limit, lambda: secrets.token_bytes(NONCE_BYTES))
    if json:
        print_json(_facts(done))
        return
    if done.holdings:
        columns = [*texts("content"), *numbers("node"), *texts("announced", "proven", "audit")]
        print_table(results_console(), columns, [_cells(one) for one in done.holdings])
    results_console().print(_sentence(done))


def _facts(done: Audited) -> dict[str, Any]:
    return {
        "opened": [_name(one) for one in done.opened],
        "failed": [_name(one) for one in done.failed],
        "not_here": done.not_here,
        "holdings": [
            {
                **_name(one),
                "since": one.since,
                "proven_at": one.proven_at,
                "audit_until": None if one.audit is None else one.audit.until,
            }
            for one in done.holdings
        ],
    }


def _name(one: Holding) -> dict[str, Any]:
    return {"cid": one.cid, "node": one.node}


def _cells(one: Holding) -> list[str]:
    proven = "never" if one.proven_at is None else moment(one.proven_at)
    audit = "" if one.audit is None else f"until {moment(one.audit.until)}"
    return [one.cid, str(one.node), moment(one.since), proven, audit]


def _sentence(done: Audited) -> str:
    if not done.holdings and not done.failed:
        return "No storage node has announced any content."
    parts = [f"{counted(len(done.opened), 'audit')} opened", f"{len(done.failed)} failed"]
    if done.not_here:
        parts.append(f"{done.not_here} due, but without a copy on this machine to compare with")
    return f"{', '.join(parts)}."
