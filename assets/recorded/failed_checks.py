"""The asset checks of a run that did not pass."""

from collections.abc import Iterable

import dagster as dg

from resources.alerts.alert import FailedCheck


def failed_checks(evaluations: Iterable[dg.AssetCheckEvaluation]) -> list[FailedCheck]:
    """The failed ones of a run's check evaluations, in their order."""
    return [
        FailedCheck(
            asset=one.asset_key.to_user_string(),
            check=one.check_name,
            severity=one.severity.value,
            description=one.description or f"{one.check_name} has failed.",
        )
        for one in evaluations
        if not one.passed
    ]
