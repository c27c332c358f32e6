"""The name and version of the contract at an address, from its cw2 entry."""

import json
from typing import NamedTuple

from cosmpy.protos.cosmwasm.wasm.v1.query_pb2 import QueryRawContractStateRequest

from chain_bridge.client.connection import Connection
from chain_bridge.client.network import Network
from chain_bridge.client.queries import CONTRACT_VERSION

_CW2_KEY = b"contract_info"
_TIMEOUT_SECONDS = 15.0


class ContractVersion(NamedTuple):
    """A contract's name and version, as in `atlas-pipelines` and `0.2.0`."""

    name: str
    version: str

    @property
    def is_older(self) -> bool:
        """Whether the contract is older than the version that this program supports."""
        return _numbers(self.version) < _numbers(CONTRACT_VERSION)


def contract_version(network: Network) -> ContractVersion:
    """The name and version of the network's contract; raises `WrongContract` when its address has no contract."""
    connection = Connection(network, _TIMEOUT_SECONDS)
    request = QueryRawContractStateRequest(address=network.contract or "", query_data=_CW2_KEY)
    try:
        raw = connection.ask(lambda chain: bytes(chain.wasm.RawContractState(request).data))
    finally:
        connection.close()
    found = json.loads(raw) if raw else {}
    return ContractVersion(str(found.get("contract", "")), str(found.get("version", "")))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
