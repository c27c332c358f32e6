"""One running transaction or query: contract calls, the messages that contracts send, and the replies to these."""

from cosmpy.protos.cosmwasm.wasm.v1.tx_pb2 import MsgExecuteContractResponse, MsgInstantiateContractResponse

from chain_bridge.embedded.blocks import Block
from chain_bridge.embedded.errors import (
    InvalidAddress,
    NoSuchCode,
    NoSuchContract,
    OutOfGas,
    Refused,
    Unauthorized,
)
from chain_bridge.embedded.execution.events import (
    Event,
    contract_event,
    dump,
    event,
    response_events,
    transfer_events,
)
from chain_bridge.embedded.execution.parts import Parts
from chain_bridge.embedded.execution.querier import answer_query
from chain_bridge.embedded.execution.replies import Reply, redact, reply_message
from chain_bridge.embedded.execution.responses import ChainMessage, Response, SubMessage, parse_answer, parse_response
from chain_bridge.embedded.gas import ANSWER_BYTE, CALL, CALL_AGAIN, GasMeter
from chain_bridge.embedded.state.addresses import read_account, read_contract
from chain_bridge.embedded.state.bank import Coin, charge_permission, check_coins
from chain_bridge.embedded.state.storage import Storage
from chain_bridge.embedded.vm.instance import Surroundings

# wasmd allows 500 nested messages and 10 nested queries; here one lower limit is enough for both.
_MOST_DEPTH = 10


class Execution:
    """Runs messages in the caller's database transaction, and collects their `events` and `gas`."""

    def __init__(self, parts: Parts, block: Block, gas: GasMeter) -> None:
        self.parts = parts
        self.block = block
        self.gas = gas
        self.events: list[Event] = []
        self._loaded: set[bytes] = set()

    def send(self, sender: str, recipient: str, coins: list[Coin]) -> None:
        """Move coins at the request of an account or contract; checks the coins and the recipient."""
        try:
            recipient = read_account(recipient, self.parts.settings.prefix)
        except InvalidAddress as error:
            raise InvalidAddress(error.reason, "invalid to address: ") from error
        if not coins:
            raise Refused(": invalid coins", "sdk", 10)
        check_coins(coins)
        charge_permission(coins, self.gas)
        if recipient == self.parts.fee_collector:
            raise Unauthorized(f"{recipient} is not allowed to receive funds")
        self.move(sender, recipient, coins)

    def move(self, sender: str, recipient: str, coins: list[Coin]) -> None:
        """Move coins, and create the recipient's account if it does not exist."""
        accounts = self.parts.accounts
        accounts.charge_read(sender, self.gas)
        self.parts.bank.send(sender, recipient, coins, self.gas)
        self.gas.charge_has()
        accounts.create(recipient, self.gas)
        self.events += transfer_events(sender, recipient, ",".join(map(str, coins)))

    def execute(self, sender: str, contract: str, message: bytes, funds: list[Coin], depth: int = 0) -> bytes:
        """Send a contract a message with funds; return the data of its answer."""
        self._load("execute", contract)
        self._pay(sender, contract, funds)
        response = self._respond("execute", contract, [_info(sender, funds), message], depth)
        self.events.append(contract_event("execute", contract))
        return self._carry_out(contract, response, depth)

    def instantiate(
        self, sender: str, code_id: int, message: bytes, funds: list[Coin], label: str, admin: str, depth: int = 0
    ) -> tuple[str, bytes]:
        """Create a contract; return its address and the data of its answer."""
        if admin:
            admin = read_contract(admin, self.parts.settings.prefix)
        registry, accounts = self.parts.registry, self.parts.accounts
        made = registry.create_contract(code_id, sender, admin, label, self.block.height)
        contract = made.address
        self._load("instantiate", contract)
        accounts.charge_read(contract, self.gas)
        accounts.create(contract, self.gas)
        self._pay(sender, contract, funds)
        response = self._respond("instantiate", contract, [_info(sender, funds), message], depth)
        registry.charge_create(made, message, self.gas)
        self.events.append(contract_event("instantiate", contract, code_id=str(code_id)))
        return contract, self._carry_out(contract, response, depth)

    def migrate(self, sender: str, contract: str, code_id: int, message: bytes) -> bytes:
        """Switch a contract to another code; only its admin may do this."""
        registry = self.parts.registry
        try:
            found = registry.contract(contract)
            if found.admin != sender:
                raise Unauthorized("can not migrate")
            registry.code(code_id)
        except (NoSuchContract, NoSuchCode) as error:
            what = "contract" if isinstance(error, NoSuchContract) else "code"
            raise Refused(f"unknown {what}: invalid request") from error
        registry.change_code(contract, code_id)
        self._load("migrate", contract)
        response = self._respond("migrate", contract, [message], 0)
        registry.charge_migrate(found, message, self.gas)
        self.events.append(event("migrate", code_id=str(code_id), _contract_address=contract))
        return self._carry_out(contract, response, 0)

    def query(self, contract: str, message: bytes, depth: int = 0) -> bytes:
        """Query a contract; return the data of its answer."""
        self._load("query", contract)
        return parse_answer(self._call("query", contract, [message], depth, read_only=True))

    def _pay(self, sender: str, contract: str, funds: list[Coin]) -> None:
        if funds:
            self.send(sender, contract, funds)

    def _load(self, entry: str, contract: str) -> None:
        """Charge for loading a contract and its code; raises `NoSuchContract`."""
        registry = self.parts.registry
        found = registry.contract(contract)
        if entry == "instantiate":
            registry.charge_load_code(found.code_id, self.gas)
        else:
            registry.charge_load(found, self.gas)
        checksum = registry.code(found.code_id).checksum
        again = entry == "reply" or checksum in self._loaded
        self._loaded.add(checksum)
        self.gas.charge(CALL_AGAIN if again else CALL, f"Loading CosmWasm module: {entry}")

    def _respond(self, entry: str, contract: str, arguments: list[bytes], depth: int) -> Response:
        return parse_response(entry, self._call(entry, contract, arguments, depth, read_only=False))

    def _carry_out(self, contract: str, response: Response, depth: int) -> bytes:
        """Record the events of a contract's response, and carry out its messages in order."""
        self._charge_events(response)
        self.events += response_events(contract, response)
        data = response.data or b""
        for message in response.messages:
            replied = self._submessage(contract, message, depth + 1)
            data = replied or data
        return data

    def _call(self, entry: str, contract: str, arguments: list[bytes], depth: int, *, read_only: bool) -> bytes:
        if depth > _MOST_DEPTH:
            raise Refused(f"contracts call each other more than {_MOST_DEPTH} deep: max call depth exceeded")
        code = self.parts.registry.code(self.parts.registry.contract(contract).code_id)
        around = Surroundings(
            storage=Storage(self.parts.database, contract, self.gas, read_only=read_only),
            prefix=self.parts.settings.prefix,
            gas=self.gas,
            query_chain=lambda request: answer_query(self, request, depth + 1),
        )
        answer = self.parts.vm.run(code.checksum, entry, [self._environment(contract), *arguments], around)
        self.gas.charge(ANSWER_BYTE * len(answer), "wasm contract")
        return answer

    def _charge_events(self, response: Response) -> None:
        groups = (response.attributes, *(item.attributes for item in response.events))
        sizes = [[item.size for item in group] for group in groups]
        self.gas.charge_events(sizes, [len(item.type) for item in response.events])

    def _submessage(self, contract: str, message: SubMessage, depth: int) -> bytes:
        """Carry out one message. If the contract requested a reply on errors, a failure undoes only this message."""
        if message.gas_limit is not None:
            raise Refused("the embedded chain does not support gas limits of submessages")
        mark, failure, answer = len(self.events), "", Reply()
        try:
            with self.parts.database.savepoint():
                answer = self._dispatch(contract, message.message, depth)
        except OutOfGas:
            raise
        except Refused as error:
            if message.reply_on not in ("always", "error"):
                raise
            del self.events[mark:]
            failure = redact(error)
        if message.reply_on not in ("always", "error" if failure else "success"):
            return b""
        reply = reply_message(message, failure, self.events[mark:], answer)
        self._load("reply", contract)
        response = self._respond("reply", contract, [reply], depth)
        self.events.append(contract_event("reply", contract))
        return self._carry_out(contract, response, depth)

    def _dispatch(self, contract: str, message: ChainMessage, depth: int) -> Reply:
        """Carry out a contract's message."""
        bank, wasm = message.bank, message.wasm
        if bank and bank.send:
            if bank.send.amount:
                self.gas.charge_has()
                self.send(contract, bank.send.to_address, bank.send.coins)
            return Reply("/cosmos.bank.v1beta1.MsgSendResponse")
        if bank and bank.burn:
            self.parts.bank.burn(contract, bank.burn.coins, self.gas)
            return Reply("/cosmos.bank.v1beta1.MsgBurnResponse")
        if wasm and wasm.execute:
            call = wasm.execute
            data = self.execute(contract, call.contract_addr, call.msg, call.coins, depth)
            value = MsgExecuteContractResponse(data=data).SerializeToString()
            return Reply("/cosmwasm.wasm.v1.MsgExecuteContractResponse", value)
        if wasm and wasm.instantiate:
            order = wasm.instantiate
            address, data = self.instantiate(
                contract, order.code_id, order.msg, order.coins, order.label, order.admin or "", depth
            )
            value = MsgInstantiateContractResponse(address=address, data=data).SerializeToString()
            return Reply("/cosmwasm.wasm.v1.MsgInstantiateContractResponse", value)
        raise Refused("the contract sent an empty message", "wasm", 20)

    def _environment(self, contract: str) -> bytes:
        block = {"height": self.block.height, "time": str(self.block.time_ns), "chain_id": self.block.chain_id}
        return dump({"block": block, "transaction": {"index": 0}, "contract": {"address": contract}})


def _info(sender: str, funds: list[Coin]) -> bytes:
    coins = [{"denom": item.denom, "amount": str(item.amount)} for item in funds]
    return dump({"sender": sender, "funds": coins})
