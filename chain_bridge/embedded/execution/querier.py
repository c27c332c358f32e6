"""Queries that a running contract may send to the chain (cosmwasm `packages/std/src/query`)."""

import base64
import json
from typing import Any, Protocol

from chain_bridge.embedded.errors import ContractFailed, NoSuchContract, OutOfGas, Refused
from chain_bridge.embedded.execution.events import dump
from chain_bridge.embedded.execution.parts import Parts


class ContractQueries(Protocol):
    """The part of a running transaction or query that answers a contract's queries."""

    parts: Parts

    def query(self, contract: str, message: bytes, depth: int = 0) -> bytes:
        """Query a contract."""


def answer_query(execution: ContractQueries, request: bytes, depth: int) -> bytes:
    """Answer a contract's query, in the nested results of cosmwasm. Raises only `OutOfGas`."""
    try:
        answer = _answer(execution, json.loads(request), depth)
    except OutOfGas:
        raise
    except NoSuchContract as error:
        return dump({"error": {"no_such_contract": {"addr": error.address}}})
    except ContractFailed as error:
        return dump({"ok": {"error": error.reason}})
    except Refused as error:
        return dump({"ok": {"error": str(error)}})
    if answer is None:
        return dump({"error": {"unsupported_request": {"kind": request.decode("utf-8", "replace")[:200]}}})
    return dump({"ok": {"ok": base64.b64encode(answer).decode()}})


def _answer(execution: ContractQueries, request: dict[str, Any], depth: int) -> bytes | None:
    parts = execution.parts
    match request:
        case {"bank": {"balance": {"address": address, "denom": denom}}}:
            return dump({"amount": {"denom": denom, "amount": str(parts.bank.balance(address, denom))}})
        case {"bank": {"all_balances": {"address": address}}}:
            held = [{"denom": item.denom, "amount": str(item.amount)} for item in parts.bank.balances(address)]
            return dump({"amount": held})
        case {"wasm": {"smart": {"contract_addr": contract, "msg": message}}}:
            return execution.query(contract, base64.b64decode(message), depth)
        case {"wasm": {"raw": {"contract_addr": contract, "key": key}}}:
            return parts.registry.read_state(contract, base64.b64decode(key)) or b""
        case {"wasm": {"contract_info": {"contract_addr": contract}}}:
            found = parts.registry.contract(contract)
            return dump(
                {
                    "code_id": found.code_id,
                    "creator": found.creator,
                    "admin": found.admin or None,
                    "pinned": False,
                    "ibc_port": None,
                }
            )
    return None
