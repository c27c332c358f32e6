"""The real contract on an embedded chain, driven by raw messages: no ledger, no server."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cosmpy.aerial.tx import SigningCfg, Transaction, TxFee
from cosmpy.protos.cosmos.base.v1beta1.coin_pb2 import Coin
from cosmpy.protos.cosmos.tx.v1beta1.service_pb2 import GetTxResponse
from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import (
    MsgExecuteContract,
    MsgInstantiateContract,
    MsgMigrateContract,
    MsgStoreCode,
)
from google.protobuf.message import Message

from chain_bridge.client.keys import load_or_create_key
from chain_bridge.embedded.chain import Chain, Settings
from chain_bridge.embedded.state.accounts import account_number
from chain_bridge.networks.deploy import read_contract

_CHAIN_ID = "atlas-test"
_GAS = 50_000_000


class ContractDriver:
    """A chain in `home` on which each name has `genesis` coins and the first one owns the contract.

    `modules` is a folder with the contract's compiled module; `clock` gives unix seconds.
    """

    def __init__(
        self, home: Path, modules: Path, clock: Callable[[], float], names: tuple[str, ...], genesis: int, **config: Any
    ) -> None:
        shutil.copytree(modules, home / "modules")
        self.names = names
        self.chain = Chain(home, Settings(_CHAIN_ID), clock)
        self.keys = {name: load_or_create_key(home / "keys" / name, "atlas") for name in names}
        for key in self.keys.values():
            self.chain.fund(key.address, genesis)
        owner = self.keys[names[0]].address
        stored = self._send(names[0], MsgStoreCode(sender=owner, wasm_byte_code=read_contract()))
        assert stored.code == 0, stored.raw_log
        answer = self.instantiate(json.dumps(config).encode())
        assert answer.code == 0, answer.raw_log
        self.contract = _attribute(answer, "instantiate", "_contract_address")

    def close(self) -> None:
        self.chain.close()

    def address(self, name: str) -> str:
        return self.keys[name].address

    def instantiate(self, message: bytes) -> Any:
        """The outcome of making another contract from the code."""
        owner = self.address(self.names[0])
        order = MsgInstantiateContract(sender=owner, admin=owner, code_id=1, label="atlas", msg=message)
        return self._send(self.names[0], order)

    def migrate(self, message: bytes) -> Any:
        """The outcome of migrating the contract to its own code."""
        owner = self.address(self.names[0])
        return self._send(
            self.names[0], MsgMigrateContract(sender=owner, contract=self.contract, code_id=1, msg=message)
        )

    def execute(self, name: str, message: bytes, funds: int = 0) -> Any:
        """The outcome of a message: `code` 0, or a refusal in `raw_log`."""
        coins = [Coin(denom="uatl", amount=str(funds))] if funds else []
        order = MsgExecuteContract(sender=self.address(name), contract=self.contract, msg=message, funds=coins)
        return self._send(name, order)

    def ask(self, **query: Any) -> Any:
        """The answer to `name={…}`; raises `Refused`."""
        return json.loads(self.chain.query(self.contract, json.dumps(query).encode()))

    def balance(self, address: str) -> int:
        with self.chain.reading() as parts:
            return parts.bank.balance(address, "uatl")

    def _send(self, name: str, message: Message) -> Any:
        key = self.keys[name]
        transaction = Transaction()
        transaction.add_message(message)
        sequence = self.chain.sequence(key.address)
        transaction.seal(SigningCfg.direct(key.wallet.public_key(), sequence), TxFee([], _GAS))
        transaction.sign(key.wallet.signer(), _CHAIN_ID, account_number(key.address))
        taken = self.chain.broadcast(transaction.complete().tx.SerializeToString())
        if taken.code:
            return taken
        return GetTxResponse.FromString(self.chain.find(taken.txhash)).tx_response


def _attribute(answer: Any, event_type: str, name: str) -> str:
    return next(
        item.value
        for event in answer.events
        if event.type == event_type
        for item in event.attributes
        if item.key == name
    )
