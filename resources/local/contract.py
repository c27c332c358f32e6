"""The contract of the local network: deployed once, on first start."""

import json
import logging
import os
from pathlib import Path

from atlas.disk.files import read_if_there, write_file
from atlas.home import AtlasHome
from chain_bridge.client.keys import Key
from chain_bridge.client.network import Network
from chain_bridge.ledger import Ledger
from chain_bridge.networks.contract_version import contract_version
from chain_bridge.networks.deploy import CONTRACT_WASM, deploy_contract
from resources.errors import LocalNetworkError

log = logging.getLogger("atlas.local_network")
HEARTBEAT_VARIABLE = "ATLAS_HEARTBEAT_SECONDS"
DEFAULT_HEARTBEAT_SECONDS = 30


def ensure_contract(home: AtlasHome, network: Network, operator: Key) -> Network:
    """The network with its contract, which is deployed if this chain has none or one of an older version.

    The contract considers a node dead after `$ATLAS_HEARTBEAT_SECONDS` without a heartbeat, by default 30 s; the value
    at deployment counts. A crash between deployment and record only leaves one unused contract behind.
    """
    address = embedded_contract(home)
    if address is not None and _is_older(network, address):
        address = None
    if address is None:
        address = deploy_contract(
            network, operator, CONTRACT_WASM, heartbeat_seconds=_wanted_heartbeat_seconds(), challenge_seconds=0
        )
        record_embedded_contract(home, address)
    return network.model_copy(update={"contract": address})


def embedded_contract(home: AtlasHome) -> str | None:
    """The contract that the embedded chain uses at its next start; None before the first."""
    return _recorded(_record(home))


def record_embedded_contract(home: AtlasHome, address: str) -> None:
    """Record another contract, which the embedded chain uses at its next start."""
    write_file(_record(home), json.dumps({"contract": address}).encode())


def heartbeat_seconds_of(network: Network) -> int:
    """Seconds without a heartbeat after which the network's contract considers a node dead."""
    with Ledger(network) as ledger:
        return ledger.config().heartbeat_seconds


def _record(home: AtlasHome) -> Path:
    return home.chain / "contract.json"  # in the chain's folder, so that deleting the chain deletes this record, too


def _is_older(network: Network, address: str) -> bool:
    found = contract_version(network.model_copy(update={"contract": address}))
    if found.is_older:
        log.warning(
            "the contract %s is %s %s and stays unchanged; a new one is deployed and used instead", address, *found
        )
    return found.is_older


def _recorded(record: Path) -> str | None:
    try:
        found = read_if_there(record)
        return None if found is None else str(json.loads(found)["contract"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LocalNetworkError(
            f"{record} (the address of the local chain's contract) is damaged: {error!r}. Restore it from a backup, or "
            "remove it: a new contract is deployed then, without the jobs of the old one."
        ) from error


def _wanted_heartbeat_seconds() -> int:
    text = os.environ.get(HEARTBEAT_VARIABLE, str(DEFAULT_HEARTBEAT_SECONDS))
    if not text.isdecimal() or int(text) < 3:
        raise LocalNetworkError(f"${HEARTBEAT_VARIABLE} must be a whole number of seconds, 3 or more; found {text!r}.")
    return int(text)
