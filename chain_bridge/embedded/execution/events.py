"""Events of a transaction, in the form of wasmd (`x/wasm/keeper/events.go`)."""

import json
from dataclasses import dataclass
from typing import Any

from chain_bridge.embedded.execution.responses import Attribute, Response

CONTRACT = "_contract_address"


@dataclass(frozen=True)
class Event:
    """A type and its attributes, in order."""

    type: str
    attributes: tuple[tuple[str, str], ...]


def event(type_: str, **attributes: str) -> Event:
    """An event with these attributes."""
    return Event(type_, tuple(attributes.items()))


def contract_event(type_: str, contract: str, **attributes: str) -> Event:
    """An event of the wasm module about a contract."""
    return Event(type_, ((CONTRACT, contract), *attributes.items()))


def transfer_events(sender: str, recipient: str, amount: str) -> list[Event]:
    """The bank's events for a transfer of coins."""
    return [
        event("coin_spent", spender=sender, amount=amount),
        event("coin_received", receiver=recipient, amount=amount),
        event("transfer", recipient=recipient, sender=sender, amount=amount),
    ]


def response_events(contract: str, response: Response) -> list[Event]:
    """The `wasm` event of a response's attributes, if any, and a `wasm-…` one for each custom event."""
    own = [_wasm_event("wasm", contract, response.attributes)] if response.attributes else []
    return own + [_wasm_event(f"wasm-{item.type}", contract, item.attributes) for item in response.events]


def events_as_json(events: list[Event]) -> list[dict[str, Any]]:
    """Events in the form of a contract's reply: attributes sorted by key."""
    return [
        {"type": item.type, "attributes": [{"key": key, "value": value} for key, value in sorted(item.attributes)]}
        for item in events
    ]


def dump(value: Any) -> bytes:
    """JSON without spaces, the form that contracts receive."""
    return json.dumps(value, separators=(",", ":")).encode()


def _wasm_event(type_: str, contract: str, attributes: list[Attribute]) -> Event:
    return Event(type_, ((CONTRACT, contract), *((item.key, item.value) for item in attributes)))
