"""Dagster's web server, asked as its pages ask it."""

import json
import time
import urllib.request

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
  }
}
"""
TERMINATE = """
mutation Terminate($id: String!) {
  terminateRun(runId: $id) {
    __typename
    ... on TerminateRunFailure { message }
    ... on PythonError { message }
  }
}
"""
EVENTS = """
query Events($id: ID!) {
  logsForRun(runId: $id) {
    ... on EventConnection {
      events { __typename ... on ExecutionStepFailureEvent { stepKey error { message cause { message } } } }
    }
  }
}
"""
STATUS = "query Status($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


class Dagster:
    """The web server that `atlas up` keeps."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, variables: dict) -> dict:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def launch_round(self, partition: str, config: dict) -> str:
        """What the launchpad's button sends; returns the run's id."""
        return self._launch({"jobName": "federated_round"}, partition, {"ops": {"base_checkpoint": {"config": config}}})

    def launch_asset(self, asset: str, partition: str) -> str:
        """What the button *Materialize* of an asset sends; returns the run's id."""
        return self._launch({"jobName": "__ASSET_JOB", "assetSelection": [{"path": [asset]}]}, partition, {})

    def _launch(self, what: dict, partition: str, config: dict) -> str:
        params = {
            "selector": {
                "repositoryLocationName": "atlas_pipelines.definitions",
                "repositoryName": "__repository__",
                **what,
            },
            "runConfigData": config,
            "mode": "default",
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": partition}]},
        }
        result = self.ask(LAUNCH, {"params": params})["launchPipelineExecution"]
        assert result["__typename"] == "LaunchRunSuccess", result
        return result["run"]["runId"]

    def terminate(self, run: str) -> None:
        """What the button *Terminate* sends."""
        result = self.ask(TERMINATE, {"id": run})["terminateRun"]
        assert result["__typename"] == "TerminateRunSuccess", result

    def events(self, run: str) -> list[dict]:
        """What the run's page shows."""
        return self.ask(EVENTS, {"id": run})["logsForRun"]["events"]

    def wait_for(self, run: str, seconds: float = 400) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self.ask(STATUS, {"id": run})["runOrError"]["status"]
            if status in ("SUCCESS", "FAILURE", "CANCELED"):
                return status
            time.sleep(1)
        raise AssertionError(f"run {run} did not end in {seconds} s")
