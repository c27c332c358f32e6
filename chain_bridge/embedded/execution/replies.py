"""Replies to a contract about the messages that it sent (wasmd `x/wasm/keeper/msg_dispatcher.go`)."""

import base64
from dataclasses import dataclass
from typing import Any

from chain_bridge.embedded.errors import ContractFailed, NoSuchCode, NoSuchContract, Refused
from chain_bridge.embedded.execution.events import Event, dump, events_as_json
from chain_bridge.embedded.execution.responses import SubMessage


@dataclass(frozen=True)
class Reply:
    """The chain's protobuf answer to a message."""

    type_url: str = ""
    value: bytes = b""


def redact(error: Refused) -> str:
    """The text of a failure in a reply: in full for errors of contracts, otherwise only codespace and code."""
    if isinstance(error, ContractFailed | NoSuchContract | NoSuchCode):
        return str(error)
    return f"codespace: {error.codespace}, code: {error.code}"


def reply_message(message: SubMessage, failure: str, events: list[Event], answer: Reply) -> bytes:
    """A submessage's outcome, as the JSON argument of a contract's `reply`."""
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
