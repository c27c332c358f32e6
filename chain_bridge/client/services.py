"""The modules of a chain that are asked."""

from typing import Any, NamedTuple


class Services(NamedTuple):
    """Stubs of the modules that are used."""

    auth: Any
    bank: Any
    feegrant: Any
    node: Any
    transactions: Any
    wasm: Any
