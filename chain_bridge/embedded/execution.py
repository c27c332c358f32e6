"""One transaction or query as it runs: contract calls, the messages that they send, and the replies to those."""

import base64
from dataclasses import dataclass
from typing import Any

from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContractResponse, MsgInstantiateContractResponse

from chain_bridge.embedded.addresses import decode
from chain_bridge.embedded.bank import Bank, Coin
from chain_bridge.embedded.database import Database
from chain_bridge.embedded.errors import OutOfGas, Refused, Unauthorized
from chain_bridge.embedded.events import Event, contract_event, dump, event, events_as_json, response_events
from chain_bridge.embedded.gas import CALL, GasMeter
from chain_bridge.embedded.instance import Surroundings
from chain_bridge.embedded.querier import answer_query
from chain_bridge.embedded.registry import Registry
from chain_bridge.embedded.responses import ChainMessage, SubMessage, parse_answer, parse_response
from chain_bridge.embedded.storage import Storage
from chain_bridge.embedded.vm import Vm

# wasmd allows 500 messages and 10 queries within each other; nobody needs that many here.
_MOST_DEPTH = 10


@dataclass(frozen=True)
class Block:
    """When a call happens, by the chain's count and clock."""

    height: int
    time_ns: int
    chain_id: str


@dataclass(frozen=True)
class Parts:
    """What the chain is made of."""

    database: Database
    bank: Bank
    registry: Registry
    vm: Vm
    prefix: str


@dataclass(frozen=True)
class _Answer:
    """The chain's protobuf answer to a message."""

    type_url: str = ""
    value: bytes = b""


class Execution:
    """Runs messages in the caller's database transaction; `events` and `gas` tell what they did."""

    def __init__(self, parts: Parts, block: Block, gas: GasMeter) -> None:
        self.parts = parts
        self.block = block
        self.gas = gas
        self.events: list[Event] = []

    def send(self, sender: str, recipient: str, coins: list[Coin]) -> None:
        """Move coins between accounts or contracts."""
        decode(recipient, self.parts.prefix)
        self.parts.bank.send(sender, recipient, coins)
        amount = ",".join(map(str, coins))
        self.events.append(event("transfer", recipient=recipient, sender=sender, amount=amount))

    def execute(self, sender: str, contract: str, message: bytes, funds: list[Coin], depth: int = 0) -> bytes:
        """Send a contract a message with funds; the data that it answers with."""
        self.parts.registry.contract(contract)
        self._pay(sender, contract, funds)
        self.events.append(contract_event("execute", contract))
        return self._run("execute", contract, [_info(sender, funds), message], depth)

    def instantiate(
        self, sender: str, code_id: int, message: bytes, funds: list[Coin], label: str, admin: str, depth: int = 0
    ) -> tuple[str, bytes]:
        """Make a contract; its address and the data that it answers with."""
        if admin:
            decode(admin, self.parts.prefix)
        if not label:
            raise Refused("label is required: empty", "wasm", 12)
        contract = self.parts.registry.create_contract(code_id, sender, admin, label, self.block.height).address
        self._pay(sender, contract, funds)
        self.events.append(contract_event("instantiate", contract, code_id=str(code_id)))
        return contract, self._run("instantiate", contract, [_info(sender, funds), message], depth)

    def migrate(self, sender: str, contract: str, code_id: int, message: bytes) -> bytes:
        """Let a contract run another code; only its admin may."""
        if self.parts.registry.contract(contract).admin != sender:
            raise Unauthorized("can not migrate")
        self.parts.registry.code(code_id)
        self.parts.registry.change_code(contract, code_id)
        self.events.append(contract_event("migrate", contract, code_id=str(code_id)))
        return self._run("migrate", contract, [message], 0)

    def query(self, contract: str, message: bytes, depth: int = 0) -> bytes:
        """Ask a contract."""
        return parse_answer(self._call("query", contract, [message], depth, read_only=True))

    def _pay(self, sender: str, contract: str, funds: list[Coin]) -> None:
        if funds:
            self.send(sender, contract, funds)

    def _run(self, entry: str, contract: str, arguments: list[bytes], depth: int) -> bytes:
        """Call an entry point and carry out the messages that it answers with, in order."""
        response = parse_response(entry, self._call(entry, contract, arguments, depth, read_only=False))
        self.events += response_events(contract, response)
        data = response.data or b""
        for message in response.messages:
            replied = self._submessage(contract, message, depth + 1)
            data = replied or data
        return data

    def _call(self, entry: str, contract: str, arguments: list[bytes], depth: int, *, read_only: bool) -> bytes:
        if depth > _MOST_DEPTH:
            raise Refused(f"contracts call each other more than {_MOST_DEPTH} deep: max call depth exceeded")
        self.gas.charge(CALL, f"Loading CosmWasm module: {entry}")
        code = self.parts.registry.code(self.parts.registry.contract(contract).code_id)
        around = Surroundings(
            storage=Storage(self.parts.database, contract, self.gas, read_only=read_only),
            prefix=self.parts.prefix,
            gas=self.gas,
            query_chain=lambda request: answer_query(self, request, depth + 1),
        )
        return self.parts.vm.run(code.checksum, entry, [self._environment(contract), *arguments], around)

    def _submessage(self, contract: str, message: SubMessage, depth: int) -> bytes:
        """Carry out one message; a failure undoes it alone when the contract wants to hear of failures."""
        if message.gas_limit is not None:
            raise Refused("the embedded chain knows no gas limits of submessages")
        mark, failure, answer = len(self.events), "", _Answer()
        try:
            with self.parts.database.savepoint():
                answer = self._dispatch(contract, message.message, depth)
        except OutOfGas:
            raise
        except Refused as error:
            if message.reply_on not in ("always", "error"):
                raise
            del self.events[mark:]
            failure = str(error)
        if message.reply_on not in ("always", "error" if failure else "success"):
            return b""
        reply = _reply(message, failure, self.events[mark:], answer)
        mode = "handle_failure" if failure else "handle_success"
        self.events.append(contract_event("reply", contract, mode=mode))
        return self._run("reply", contract, [reply], depth)

    def _dispatch(self, contract: str, message: ChainMessage, depth: int) -> _Answer:
        """Carry out a contract's message."""
        bank, wasm = message.bank, message.wasm
        if bank and bank.send:
            self.send(contract, bank.send.to_address, bank.send.coins)
            return _Answer("/cosmos.bank.v1beta1.MsgSendResponse")
        if bank and bank.burn:
            self.parts.bank.burn(contract, bank.burn.coins)
            return _Answer("/cosmos.bank.v1beta1.MsgBurnResponse")
        if wasm and wasm.execute:
            call = wasm.execute
            data = self.execute(contract, call.contract_addr, call.msg, call.coins, depth)
            value = MsgExecuteContractResponse(data=data).SerializeToString()
            return _Answer("/cosmwasm.wasm.v1.MsgExecuteContractResponse", value)
        if wasm and wasm.instantiate:
            order = wasm.instantiate
            address, data = self.instantiate(
                contract, order.code_id, order.msg, order.coins, order.label, order.admin or "", depth
            )
            value = MsgInstantiateContractResponse(address=address, data=data).SerializeToString()
            return _Answer("/cosmwasm.wasm.v1.MsgInstantiateContractResponse", value)
        raise Refused("the contract sent an empty message", "wasm", 20)

    def _environment(self, contract: str) -> bytes:
        block = {"height": self.block.height, "time": str(self.block.time_ns), "chain_id": self.block.chain_id}
        return dump({"block": block, "transaction": {"index": 0}, "contract": {"address": contract}})


def _info(sender: str, funds: list[Coin]) -> bytes:
    coins = [{"denom": item.denom, "amount": str(item.amount)} for item in funds]
    return dump({"sender": sender, "funds": coins})


def _reply(message: SubMessage, failure: str, events: list[Event], answer: _Answer) -> bytes:
    """A submessage's outcome as a contract's `reply` gets it."""
    outcome: dict[str, Any]
    if failure:
        outcome = {"error": failure}
    else:
        value = base64.b64encode(answer.value).decode()
        outcome = {
            "ok": {
                "events": events_as_json(events) if "wasm" in message.msg else [],
                "data": value or None,
                "msg_responses": [{"type_url": answer.type_url, "value": value}],
            }
        }
    return dump({"id": message.id, "payload": message.payload, "gas_used": 0, "result": outcome})
