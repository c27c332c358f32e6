"""What of an order can be checked only against its dataset; nothing is written before it holds."""

from atlas.errors import SpecError
from atlas.manifests import DatasetManifest
from atlas.spec import JobSpec
from resources.errors import BudgetError

SHARDS_LISTED = 20


def check_shard_ranks(spec: JobSpec, dataset: DatasetManifest) -> None:
    """Raise `SpecError` when `lora.shard_ranks` names a shard that the dataset has not."""
    shards = [shard.key for shard in dataset.shards]
    if unknown := sorted(spec.lora.shard_ranks.keys() - set(shards)):
        raise SpecError(
            f"lora.shard_ranks names {', '.join(unknown)}, but the shards of {spec.dataset.source} are "
            f"{_listed(shards)}. Correct the shard_ranks, or dataset.shard_by."
        )


def _listed(shards: list[str]) -> str:
    return ", ".join(shards) if len(shards) <= SHARDS_LISTED else f"{shards[0]} to {shards[-1]}"


def check_budget(spec: JobSpec, shards: int) -> None:
    """Raise `BudgetError` unless the budget pays for every shard and one evaluation in every round."""
    reward = spec.payment.reward_per_task
    needed = reward * (shards + 1) * spec.rounds
    if spec.payment.budget < needed:
        raise BudgetError(
            f"The budget of job {spec.name!r} is {spec.payment.budget}, but {spec.rounds} rounds of {shards} shards "
            f"and one evaluation at {reward} each cost {needed}. Raise payment.budget to {needed} or more, or lower "
            "payment.reward_per_task or rounds."
        )
