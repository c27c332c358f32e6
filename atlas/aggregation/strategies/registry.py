"""All strategies by name, in the order in which help texts list them."""

from typing import TYPE_CHECKING

from atlas.registry import Registry

if TYPE_CHECKING:
    from atlas.aggregation.strategies.strategy import Strategy

_HERE = "atlas.aggregation.strategies"
STRATEGIES: "Registry[Strategy]" = Registry(
    {
        "fedavg": f"{_HERE}.flat:FEDAVG",
        "ffa": f"{_HERE}.flat:FFA",
        "rolora": f"{_HERE}.flat:ROLORA",
        "stack": f"{_HERE}.stack:STACK",
        "qr-svd": f"{_HERE}.qr_svd:QR_SVD",
        "fedex": f"{_HERE}.fedex:FEDEX",
    }
)
