"""The contract's messages as methods, by area: their arguments and their JSON form."""

from chain_bridge.client.writes.administration import AdministrationWrites
from chain_bridge.client.writes.base import OUTCOME, Writes
from chain_bridge.client.writes.challenges import ChallengeWrites
from chain_bridge.client.writes.compute import ComputeWrites
from chain_bridge.client.writes.models import ModelWrites
from chain_bridge.client.writes.rounds import RoundWrites
from chain_bridge.client.writes.sharding import ShardingWrites
from chain_bridge.client.writes.storage import StorageWrites

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
    """Every message whose outcome is the transaction itself."""
