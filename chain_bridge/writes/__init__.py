"""The contract's messages as methods, by area: what each takes, and how it is written down."""

from chain_bridge.writes.administration import AdministrationWrites
from chain_bridge.writes.base import OUTCOME, Writes
from chain_bridge.writes.challenges import ChallengeWrites
from chain_bridge.writes.compute import ComputeWrites
from chain_bridge.writes.models import ModelWrites
from chain_bridge.writes.rounds import RoundWrites
from chain_bridge.writes.sharding import ShardingWrites
from chain_bridge.writes.storage import StorageWrites

__all__ = ["OUTCOME", "AllWrites", "Writes"]


class AllWrites(
    ComputeWrites[OUTCOME],
    ShardingWrites[OUTCOME],
    RoundWrites[OUTCOME],
    ChallengeWrites[OUTCOME],
    StorageWrites[OUTCOME],
    ModelWrites[OUTCOME],
    AdministrationWrites[OUTCOME],
):
    """Every message whose outcome needs no more than the transaction."""
