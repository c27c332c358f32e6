"""Deploy the contract to a chain."""

import gzip
import hashlib
import json
from pathlib import Path

from cosmpy.protos.cosmos.base.abci.v1beta1.abci_pb2 import TxResponse
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgInstantiateContract, MsgStoreCode

import chain_bridge
from chain_bridge.client.connection import Connection
from chain_bridge.client.keys import Key
from chain_bridge.client.network import Network
from chain_bridge.client.sender import Sender
from chain_bridge.errors import ContractFileError, TransactionFailed

CONTRACT_WASM = Path(chain_bridge.__file__).parent / "contract" / "artifacts" / "atlas.wasm"
_TIMEOUT_SECONDS = 60.0


def read_contract(wasm: Path = CONTRACT_WASM) -> bytes:
    """The contract's bytecode; raises `ContractFileError` unless its SHA-256 is the one in the file beside it."""
    checksum = wasm.with_name(f"{wasm.name}.sha256")
    try:
        bytecode, expected = wasm.read_bytes(), checksum.read_text(encoding="ascii").split()[0]
    except (OSError, IndexError) as error:
        raise ContractFileError(f"Cannot read the contract {wasm} and its {checksum.name}: {error}.") from error
    found = hashlib.sha256(bytecode).hexdigest()
    if found != expected:
        raise ContractFileError(
            f"{wasm} has SHA-256 {found}, expected {expected} as in {checksum.name}. Restore both from the same "
            "release."
        )
    return bytecode


def deploy_contract(
    network: Network,
    key: Key,
    wasm: Path,
    heartbeat_seconds: int,
    challenge_seconds: int,
    min_stake: int = 0,
    *,
    challenge_bond: int | None = None,
    dispute_seconds: int | None = None,
    unbonding_seconds: int | None = None,
    jail_seconds: int | None = None,
    abandon_seconds: int | None = None,
    audit_seconds: int | None = None,
    slash_bps: int | None = None,
    max_batch: int | None = None,
) -> str:
    """Store the contract's bytecode, instantiate it, and return its address.

    `key` owns the contract and may migrate it. Settings that are None take the contract's defaults.
    Raises `ContractFileError`, `ContractRefused`, `InsufficientFunds`, `TransactionFailed`, `ChainUnreachable`.
    """
    bytecode = read_contract(wasm)
    settings = {
        "denom": network.denom,
        "min_stake": str(min_stake),
        "heartbeat_seconds": heartbeat_seconds,
        "challenge_seconds": challenge_seconds,
        "challenge_bond": None if challenge_bond is None else str(challenge_bond),
        "dispute_seconds": dispute_seconds,
        "unbonding_seconds": unbonding_seconds,
        "jail_seconds": jail_seconds,
        "abandon_seconds": abandon_seconds,
        "audit_seconds": audit_seconds,
        "slash_bps": slash_bps,
        "max_batch": max_batch,
    }
    connection = Connection(network, _TIMEOUT_SECONDS)
    sender = Sender(connection, key, _TIMEOUT_SECONDS)
    try:
        store = MsgStoreCode(sender=key.address, wasm_byte_code=gzip.compress(bytecode, 9, mtime=0))
        code_id = int(_attribute(sender.send([store]), "store_code", "code_id"))
        instantiate = MsgInstantiateContract(
            sender=key.address,
            admin=key.address,
            code_id=code_id,
            label="atlas-pipelines",
            msg=json.dumps({name: value for name, value in settings.items() if value is not None}).encode(),
        )
        return _attribute(sender.send([instantiate]), "instantiate", "_contract_address")
    finally:
        connection.close()


def _attribute(answer: TxResponse, event_type: str, name: str) -> str:
    for event in answer.events:
        for attribute in event.attributes:
            if event.type == event_type and attribute.key == name:
                return str(attribute.value)
    raise TransactionFailed(f"The transaction {answer.txhash} has no event {event_type} with {name}.")
