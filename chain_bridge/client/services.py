"""The modules of a chain that the client calls."""

from typing import Any, NamedTuple


class Services(NamedTuple):
    """gRPC stubs of those modules."""

    auth: Any
    bank: Any
    feegrant: Any
    node: Any
    transactions: Any
    wasm: Any
