"""Checks of an order that need its model and its dataset; nothing is written until they pass."""

from collections.abc import Callable, Sequence

from atlas.aggregation.robust.registry import RULES
from atlas.counts import counted
from atlas.errors import SpecError
from atlas.home import AtlasHome
from atlas.models.files import locate_model
from atlas.spec.job import JobSpec
from atlas.spec.model_limits import check_max_length, read_config
from chain_bridge.errors import InsufficientFunds
from resources.errors import BudgetError

SHARDS_LISTED = 20


def check_order(spec: JobSpec, home: AtlasHome, on_progress: Callable[[str], None] = lambda text: None) -> None:
    """Raise the errors of opening this order that its settings, its model and its first rows already show.

    It takes a second, unless something is downloaded, and needs neither chain nor nodes. A dataset of at most
    `FIRST_ROWS` rows is checked as a whole, and with it the budget. Raises `SpecError`, `BudgetError`, `ModelError` and
    `DataError`.
    """
    # These import numpy, which most importers of this module do not need.
    from atlas.data.prepare import FIRST_ROWS, check_first_rows

    rows = spec.dataset.holdout_source or spec.dataset.source
    on_progress(f"Checking the model {spec.model.source} and the first {FIRST_ROWS:,} rows, or fewer, of {rows}.")
    check_model_limits(spec, spec.model.revision, home)
    shards = check_first_rows(spec.dataset, home.root / "cache", spec.training.seed, reference_rows(spec))
    if shards is not None:
        check_shard_ranks(spec, shards)
        check_budget(spec, len(shards))


def check_model_limits(spec: JobSpec, revision: str | None, home: AtlasHome) -> None:
    """Raise `SpecError` for a `max_length` beyond the model's, `ModelError` for a model that is not available."""
    check_max_length(spec, read_config(locate_model(spec.model.source, revision, home.root / "cache")))


def reference_rows(spec: JobSpec) -> int:
    """The number of reference rows that the coordinator keeps."""
    robust = spec.aggregation.robust
    rule = RULES.get(robust.rule)
    return robust.reference_rows if rule is not None and rule.needs_reference else 0


def check_shard_ranks(spec: JobSpec, shards: Sequence[str]) -> None:
    """Raise `SpecError` when `lora.shard_ranks` has a key that is not in `shards`, the keys of the dataset's shards."""
    if unknown := sorted(spec.lora.shard_ranks.keys() - set(shards)):
        raise SpecError(
            f"lora.shard_ranks names {', '.join(unknown)}, but the shards of {spec.dataset.source} are "
            f"{_listed(shards)}. Correct the shard_ranks, or dataset.shard_by."
        )


def _listed(shards: Sequence[str]) -> str:
    return ", ".join(shards) if len(shards) <= SHARDS_LISTED else f"{shards[0]} to {shards[-1]}"


def cost_of_round(spec: JobSpec, shards: int) -> int:
    """The pay for every shard and one evaluation, in micro-units."""
    return spec.payment.reward_per_task * (shards + 1)


def check_balance(spec: JobSpec, address: str, balance: int, denomination: str) -> None:
    """Raise `InsufficientFunds` unless the operator's account can pay the budget."""
    if balance < spec.payment.budget:
        raise InsufficientFunds(
            f"Account {address} holds {balance} {denomination}, but the budget of job {spec.name!r} "
            f"is {spec.payment.budget}. Send it {spec.payment.budget - balance} more, or lower payment.budget."
        )


def check_budget(spec: JobSpec, shards: int) -> None:
    """Raise `BudgetError` unless the budget pays for every shard and one evaluation in every round."""
    reward = spec.payment.reward_per_task
    needed = cost_of_round(spec, shards) * spec.rounds
    if spec.payment.budget < needed:
        raise BudgetError(
            f"The budget of job {spec.name!r} is {spec.payment.budget}, but "
            f"{counted(spec.rounds, 'round')} of {counted(shards, 'shard')} "
            f"and one evaluation at {reward} each cost {needed}. Raise payment.budget to {needed} or more, or lower "
            "payment.reward_per_task or rounds."
        )
