"""The op `send_alert`: one alert through one hook, retried until it is delivered or given up."""

import os

import dagster as dg
from pydantic import Field

from assets.plain_errors import plain_errors
from resources.alerts.alert import Alert
from resources.alerts.deliver import deliver
from resources.alerts.settings import read_operator_settings
from resources.coordinator import CoordinatorResource
from resources.errors import AlertNotDelivered


class AlertConfig(dg.Config):
    """An alert, and the hook that it is sent through."""

    hook: str = Field(description="Name of a hook in $ATLAS_HOME/settings.yaml.")
    alert: str = Field(description="The alert as JSON.")
    retry_seconds: list[float] = Field(
        default=[5, 30, 120, 300], description="Seconds before each further attempt; after the last, the run fails."
    )


@dg.op
@plain_errors
def send_alert(context: dg.OpExecutionContext, config: AlertConfig, coordinator: CoordinatorResource) -> None:
    """Call the hook."""
    hook = read_operator_settings(coordinator.home.settings).hook(config.hook)
    try:
        deliver(Alert.model_validate_json(config.alert), hook, os.environ)
    except AlertNotDelivered as error:
        attempts = len(config.retry_seconds)
        if context.retry_number >= attempts:
            raise AlertNotDelivered(f"{error} Given up after {attempts + 1} attempts.") from error
        context.log.warning("%s", error)
        raise dg.RetryRequested(attempts, config.retry_seconds[context.retry_number]) from error
