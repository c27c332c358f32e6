"""A condition of Dagster's declarative automation: a round of a job was settled since the last look."""

import dagster as dg

from assets import partitions
from atlas.errors import SpecError

PAGE = 1000


class RoundSettled(dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]):
    """True for the jobs of which a round was settled since the condition was evaluated before.

    Dagster's own conditions look at the dependencies of a partition, and cannot map a job to its rounds.
    """

    @property
    def description(self) -> str:
        """The line that the UI shows."""
        return "A round of the job was settled since the previous evaluation"

    def evaluate(
        self, context: dg.AutomationContext[dg.AssetKey | dg.AssetCheckKey]
    ) -> dg.AutomationResult[dg.AssetKey | dg.AssetCheckKey]:
        """The partitions, by job, for which the condition is true; none at the first evaluation."""
        first = context.previous_evaluation_time is None
        since = context.previous_max_storage_id or 0  # None while nothing was recorded at all
        jobs = set() if first else settled_jobs(context.asset_graph_view.instance, since)
        return dg.AutomationResult(context, context.candidate_subset.compute_intersection_with_partition_keys(jobs))


def settled_jobs(instance: dg.DagsterInstance, since: int) -> set[str]:
    """The jobs with a `reward_settlement` whose event has a number above `since`."""
    where = dg.AssetRecordsFilter(dg.AssetKey("reward_settlement"), after_storage_id=since)
    jobs: set[str] = set()
    cursor = None
    while True:
        found = instance.fetch_materializations(where, limit=PAGE, cursor=cursor)
        for record in found.records:
            try:
                jobs.add(partitions.parse_round_key(str(record.partition_key))[0])
            except SpecError:
                continue  # users can add arbitrary keys in the UI
        if not found.has_more:
            return jobs
        cursor = found.cursor


REPORT_IS_OLD = RoundSettled().since_last_handled() & ~dg.AutomationCondition.in_progress()
"""A round of the job was settled after the report was made or requested, and no report is being made."""
