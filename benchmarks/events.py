"""Measure what Dagster's records of a round with many shards cost: writing the events, and reading them in the UI.

`python benchmarks/events.py [--shards 1000]` makes an instance on SQLite in a temporary folder and writes the events of
one round through the code of the assets, without training: the partitions, the dataset's shards, the adapters, and the
manifest with its tables. It prints the CPU seconds and SQL statements of each part. Then it starts dagster-webserver on
the instance and times the GraphQL queries of the UI's pages; these are wall times.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import dagster as dg
import sqlalchemy
from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).parent.parent
sys.path.insert(0, str(REPOSITORY))

from assets import partitions
from assets.adapter_events import AdapterEvents
from assets.dataset import dataset_event, shard_events
from assets.launch.find_job import register_partitions
from assets.recorded.inputs import updates_tags
from assets.recorded.records import unless_recorded
from assets.shown import tables
from atlas.content.format.cid import cid_of_bytes
from atlas.documents.manifests import (
    DatasetManifest,
    Environment,
    Receipt,
    ShardManifest,
    SignedReceipt,
    TrainingPoint,
)
from atlas.ids import Cid, JobId, NodeId
from atlas.spec.job import JobSpec, TaskSpec
from resources.dispatch import events
from resources.dispatch.outcomes import CompletedTask
from resources.jobs.opened import OpenJob
from resources.jobs.registry import Attempt

POINTS = 40
"""Points of each loss curve."""
START_SECONDS = 180
"""Longest start of the web server."""
STATUSES = """
query Partitions($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  partitionStats { numMaterialized numPartitions numFailed numMaterializing }
  partitionKeysByDimension { name partitionKeys }
  assetPartitionStatuses {
    ... on DefaultPartitionStatuses { materializedPartitions failedPartitions materializingPartitions }
    ... on MultiPartitionStatuses { primaryDimensionName ranges {
      primaryDimStartKey primaryDimEndKey secondaryDim {
        ... on DefaultPartitionStatuses { materializedPartitions failedPartitions } } } } } } } }
"""
EVENTS = """
query Events($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset {
  assetMaterializations(limit: 100) { runId partition timestamp tags { key value } metadataEntries {
    label ... on TextMetadataEntry { text } ... on MarkdownMetadataEntry { mdStr }
    ... on TableMetadataEntry { table { records } } } } } } }
"""
RUN = """
query Run($run: ID!) { logsForRun(runId: $run, limit: 1000) { ... on EventConnection {
  cursor hasMore events { __typename ... on MessageEvent { message timestamp stepKey } } } } }
"""


def cid(name: str) -> Cid:
    return cid_of_bytes(name.encode())


def made_job(shards: int) -> OpenJob:
    """A job whose documents have the sizes of real ones."""
    cut = [
        ShardManifest(
            key=f"s{at:03d}", cid=cid(f"shard {at}"), rows=64, bytes=9000, tokens=1500, labels={"positive": 32}
        )
        for at in range(shards)
    ]
    data = DatasetManifest(
        source="rows.csv",
        text_column="text",
        label_column="label",
        labels=["negative", "positive"],
        shards=cut,
        holdout=cut[0],
    )
    order = JobSpec.load(REPOSITORY / "examples/sentiment.yaml")
    return OpenJob(JobId(1), "atlas1contract", order, order.cid, cid("model"), data, data.cid, cid("untrained"))


def completed(job: OpenJob, slot: int) -> CompletedTask:
    """The result of a shard, as a node delivers it."""
    shard = job.dataset.shards[slot]
    task = TaskSpec(
        kind="train",
        contract=job.contract,
        job_id=job.job_id,
        job=job.spec_cid,
        model=job.model_cid,
        round=1,
        slot=slot,
        shard=shard.key,
        data=shard.cid,
        rows=shard.rows,
        base=job.untrained,
        attempt=1,
    )
    receipt = Receipt(
        task=task.cid,
        task_id=task.task_id,
        attempt=1,
        node=f"atlas1node{slot % 50:02d}",
        data=shard.cid,
        base=job.untrained,
        adapter=cid(f"adapter {slot}"),
        steps=POINTS,
        rows_seen=640,
        tokens_seen=15000,
        losses=[TrainingPoint(step=at + 1, loss=1 / (at + 2 + slot % 7)) for at in range(POINTS)],
        environment=Environment(
            device="cpu", torch="2", transformers="5", peft="0", platform="linux", precision="fp32"
        ),
        started_at=1.0,
        finished_at=60.0,
    )
    signed = SignedReceipt(receipt=receipt, public_key="00", signature="00")
    return CompletedTask(task, task.cid, NodeId(slot % 50 + 1), signed, receipt.cid)


def attempts(outcomes: list[CompletedTask]) -> list[Attempt]:
    """The records from which the manifest's tables are made."""
    return [
        Attempt(one.task.slot, 1, one.task.task_id, one.task_cid, one.node_id, "completed", one.receipt_cid, one.result)
        for one in outcomes
    ]


class Meter:
    """CPU seconds of this process and SQL statements, for each named part."""

    LISTENED = (sqlalchemy.engine.Engine, "before_cursor_execute")

    def __init__(self) -> None:
        self.parts: dict[str, tuple[float, int]] = {}
        self._statements = 0

    def __enter__(self) -> Self:
        sqlalchemy.event.listen(*self.LISTENED, self._count)
        return self

    def __exit__(self, *error: object) -> None:
        sqlalchemy.event.remove(*self.LISTENED, self._count)

    def _count(self, *_: object) -> None:
        self._statements += 1

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add what happens inside to the part `name`."""
        began, statements = time.process_time(), self._statements
        yield
        self.parts[name] = (time.process_time() - began, self._statements - statements)


def link(content: Cid) -> dg.MetadataValue:
    return dg.MetadataValue.url(f"http://127.0.0.1:8080/{content}")


def write_round(instance: dg.DagsterInstance, job: OpenJob, meter: Meter) -> str:
    """Write the events of one round, and return the id of its run."""
    key = partitions.round_key(job.name, 1)
    outcomes = [completed(job, slot) for slot in range(len(job.dataset.shards))]
    shape = dg.AssetSpec("shard_adapter", partitions_def=partitions.round_shards)

    @dg.asset(partitions_def=partitions.rounds)
    def base_checkpoint() -> Iterator[dg.AssetMaterialization | dg.MaterializeResult]:
        read = [dataset_event(job.name, job.dataset, link, {}), *shard_events(job.name, job.dataset, link)]
        yield from unless_recorded(instance, read)
        yield dg.MaterializeResult(data_version=dg.DataVersion(job.untrained))

    @dg.asset(partitions_def=partitions.rounds, deps=[base_checkpoint, shape])
    def round_manifest(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.AssetMaterialization | dg.MaterializeResult]:
        events_of = AdapterEvents(instance, context.run.run_id, job, 1, link).of
        for outcome in outcomes:
            context.log.info("%s", events.assigned(outcome.task, outcome.node_id))
            yield from events_of(outcome)
        receipts = {one.receipt_cid: one.receipt for one in outcomes}
        yield dg.MaterializeResult(
            metadata=tables.update_tables(attempts(outcomes), receipts, job.dataset),
            data_version=dg.DataVersion(cid("manifest")),
            tags=updates_tags(instance, {one.task.shard or "": one.result for one in outcomes}),
        )

    def step(asset: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
        made = [shape, base_checkpoint, round_manifest]
        return dg.materialize(made, selection=[asset], instance=instance, partition_key=key)

    with meter.part("register the partitions"):
        register_partitions(instance, job)
    with meter.part("open the job: dataset and its shards"):
        step(base_checkpoint)
    with meter.part("open it again, in the next round"):
        step(base_checkpoint)
    with meter.part("train: one line and one adapter per shard, the manifest"):
        run = step(round_manifest)
    with meter.part("repeat the round: nothing is new"):
        step(round_manifest)
    return run.run_id


def write_table(meter: Meter, shards: int) -> Table:
    """The costs of each part, per shard as well."""
    table = Table("part", "CPU s", "SQL statements", "statements per shard")
    for name, (seconds, statements) in meter.parts.items():
        table.add_row(name, f"{seconds:.1f}", f"{statements:,}", f"{statements / shards:.1f}")
    total = sum(seconds for seconds, _ in meter.parts.values())
    table.add_row("all", f"{total:.1f}", f"{sum(count for _, count in meter.parts.values()):,}", "")
    return table


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """The address of a dagster-webserver on the instance, with the project's definitions."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        Path(sys.executable).with_name("dagster-webserver"),
        "-m",
        "atlas_pipelines.definitions",
        "-p",
        str(port),
    ]
    environment = {**os.environ, "DAGSTER_HOME": str(folder), "ATLAS_HOME": str(folder / "atlas")}
    with (folder / "web.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while not _answers(address):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dagster-webserver did not start:\n{(folder / 'web.log').read_text()[-2000:]}")
            time.sleep(1)
        yield address
    finally:
        server.terminate()
        server.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info") as answer:
            return answer.status == 200
    except urllib.error.URLError:
        return False


def query(address: str, text: str, **variables: Any) -> tuple[float, int]:
    """Wall seconds and bytes of one GraphQL query; raises `RuntimeError` if it is refused."""
    body = json.dumps({"query": text, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    began = time.perf_counter()
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    seconds = time.perf_counter() - began
    if "errors" in json.loads(text):
        raise RuntimeError(text[:2000].decode())
    return seconds, len(text)


def read_table(address: str, run: str) -> Table:
    """The first and the second time of each page's query."""
    pages = {
        "shard_adapter, partitions": (STATUSES, {"key": {"path": ["shard_adapter"]}}),
        "shard_adapter, 100 newest events": (EVENTS, {"key": {"path": ["shard_adapter"]}}),
        "dataset_shard, partitions": (STATUSES, {"key": {"path": ["dataset_shard"]}}),
        "round_manifest, partitions": (STATUSES, {"key": {"path": ["round_manifest"]}}),
        "round_manifest, newest events with tables": (EVENTS, {"key": {"path": ["round_manifest"]}}),
        "the run, 1,000 events": (RUN, {"run": run}),
    }
    table = Table("page", "first, s", "again, s", "KB")
    for name, (text, variables) in pages.items():
        first, size = query(address, text, **variables)
        again, _ = query(address, text, **variables)
        table.add_row(name, f"{first:.2f}", f"{again:.2f}", f"{size / 1000:,.0f}")
    return table


def main(shards: int) -> None:
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as name:
        folder, job = Path(name), made_job(shards)
        (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        with Meter() as meter, dg.DagsterInstance.from_config(str(folder)) as instance:
            run = write_round(instance, job, meter)
        console.print(write_table(meter, shards))
        with web_server(folder) as address:
            console.print(read_table(address, run))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=1000)
    main(parser.parse_args().shards)
