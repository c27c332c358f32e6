"""The Dagster UI under `atlas up`, in a real browser: a job is started by clicks, and its round looked at."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.support.paths import REPOSITORY
from tests.support.pipeline.dagster_server import Dagster

MUTATION = "mutation { setAutoMaterializePaused(paused: false) }"
"""One that needs no arguments and changes nothing that other tests use."""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ROUND_MS = 400_000
"""The time that a run may take on a loaded machine."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine; install the package chromium"),
]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Where the screenshots go: `$ATLAS_SCREENSHOTS`, or a temporary folder."""
    folder = Path(os.environ.get("ATLAS_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def order(tiny_model, tiny_csv) -> dict:
    """A job of one round over the tiny data."""
    return {
        "name": "tiny",
        "model": {"source": f"path:{tiny_model}", "task": "sequence-classification"},
        "dataset": {
            "source": str(tiny_csv),
            "labels": ["negative", "positive"],
            "shard_by": {"column": "domain"},
        },
        "lora": {"rank": 4, "target_modules": ["query", "value"]},
        "training": {"steps": 8, "batch_size": 4, "max_length": 16, "checkpoint_every": 4},
        "rounds": 1,
        "payment": {"budget": 10_000_000, "reward_per_task": 100_000},
    }


@pytest.fixture(scope="module")
def start_page(tmp_path_factory):
    """The address that `atlas up` prints; it has two agents."""
    home = tmp_path_factory.mktemp("up") / "atlas"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "ATLAS_HOME": str(home), "OMP_NUM_THREADS": "1"}
    environment.pop("DAGSTER_HOME", None)
    up = subprocess.Popen(
        [sys.executable, "-m", "atlas_pipelines.cli", "up", "--port", str(port)],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for line in up.stdout:
            if "Ctrl-C" in line:
                break
        assert up.poll() is None, "atlas up ended by itself"
        yield f"http://127.0.0.1:{port}/"
    finally:
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0
        up.stdout.close()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser, start_page):
    """A new window on the start page. No other address is typed: everything else is reached by clicks."""
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    page.set_default_timeout(60_000)
    page.goto(start_page)
    return page


def click(page, *texts: str) -> None:
    for text in texts:
        page.get_by_text(text, exact=True).first.click()


def take(page, picture: Path) -> None:
    """Take a picture once what fades in or out has done so."""
    page.wait_for_timeout(1000)
    page.screenshot(path=picture)


def write_order(page, order: dict) -> None:
    """Replace the text of the launchpad."""
    page.locator(".CodeMirror").first.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(json.dumps({"ops": {"open_order": {"config": {"order": order}}}}, indent=2))


def status(page, run: int = 0) -> str:
    """How a run of the page ended, once it has."""
    shown = page.get_by_text(re.compile("^(Success|Failure|Canceled)$")).nth(run)
    shown.wait_for(timeout=ROUND_MS)
    return shown.inner_text()


@pytest.fixture(scope="module")
def first_launch(browser, start_page, order, pictures):
    """A person's first launch, from the start page until the round that the sensor launched has ended."""
    page = opened(browser, start_page)
    click(page, "Jobs", "start_job", "Launchpad")
    page.get_by_text("No errors").wait_for()
    page.locator(".CodeMirror-code").get_by_text("quorum").click()
    page.get_by_text("share of shards that must deliver").first.wait_for()
    take(page, pictures / "launchpad.png")
    write_order(page, {**order, "dataset": {**order["dataset"], "shard_by": {"column": "domain", "rows": 4}}})
    page.get_by_text("You can only specify a single field").first.wait_for()
    assert page.get_by_role("button", name="Launch Run").is_disabled()
    take(page, pictures / "launchpad-error.png")
    write_order(page, order)
    page.get_by_text("No errors").wait_for()
    page.get_by_role("button", name="Launch Run").click()
    assert status(page) == "Success"
    page.get_by_text("launches federated_round for tiny-r0001").first.wait_for()
    take(page, pictures / "start-job.png")
    click(page, "Runs")
    page.get_by_text("tiny-r0001").first.wait_for(timeout=ROUND_MS)
    assert (status(page), status(page, 1)) == ("Success", "Success")
    take(page, pictures / "runs.png")
    yield page.locator("body").inner_text()
    page.close()


@pytest.fixture
def page(browser, start_page, first_launch):
    page = opened(browser, start_page)
    yield page
    page.close()


def open_partition(page, asset: str, *keys: str) -> None:
    click(page, "Catalog", asset, "Partitions", *keys)


def test_a_job_is_started_by_clicks_and_its_round_follows(first_launch):
    runs = ["federated_round", "started_jobs", "partition: tiny-r0001", "start_job", "Manually launched"]
    assert [text for text in runs if text not in first_launch] == []


def test_a_round_can_be_launched_again_without_a_warning(page, pictures):
    click(page, "Jobs", "federated_round")
    page.get_by_text("fetching statuses").first.wait_for(state="detached")
    page.get_by_text("Materialize all").first.click()
    page.get_by_text("Select a partition or create one").click()
    click(page, "tiny-r0001")
    page.get_by_role("button", name="Launch 1 run").wait_for()
    take(page, pictures / "launch-again.png")
    assert "may fail" not in page.locator("body").inner_text()


def test_the_lineage_shows_a_round_from_data_to_payout(page, pictures):
    click(page, "Lineage")
    page.get_by_text("federated", exact=True).last.wait_for()
    page.mouse.click(1000, 750, button="right")
    page.get_by_text("Expand all groups").last.click()
    for asset in ("dataset_shard", "base_checkpoint", "shard_adapter", "round_manifest", "reward_settlement"):
        page.get_by_text(asset, exact=True).first.wait_for()
    take(page, pictures / "lineage.png")


def test_a_shard_shows_its_loss_curve_as_a_picture(page, pictures):
    open_partition(page, "shard_adapter", "tiny-r0001", "tiny-s003")
    page.get_by_text("tiny-r0001|tiny-s003").first.wait_for()
    page.locator("img[src^='data:image/svg+xml']").first.scroll_into_view_if_needed()
    take(page, pictures / "shard.png")


def test_a_round_shows_its_updates_and_their_verdicts(page, pictures):
    open_partition(page, "round_manifest", "tiny-r0001")
    page.get_by_role("cell", name="accepted", exact=True).nth(3).wait_for()
    page.locator("img[src^='data:image/svg+xml']").first.wait_for()
    take(page, pictures / "round.png")
    page.get_by_text("[Show Markdown]").click()
    page.locator("img[src^='data:image/svg+xml']").first.wait_for()
    take(page, pictures / "curves.png")


def test_a_settlement_shows_who_was_paid(page, pictures):
    open_partition(page, "reward_settlement", "tiny-r0001")
    page.get_by_text("merkle_root").first.wait_for()
    page.get_by_text("500000").first.wait_for()
    take(page, pictures / "settlement.png")


def test_the_checks_of_a_round_are_shown_with_what_they_compared(page, pictures):
    click(page, "Catalog", "evaluation", "Checks")
    page.get_by_text("no_worse_than_base").first.click()
    page.get_by_text("Execution history").first.wait_for()
    take(page, pictures / "checks.png")


def test_sensors_and_schedules_are_listed(page, pictures):
    click(page, "Automation")
    for name in ("started_jobs", "next_round", "weekly_retraining"):
        page.get_by_text(name, exact=True).first.wait_for()
    page.get_by_text("only on Monday").first.wait_for()
    take(page, pictures / "automation.png")


def test_a_report_shows_all_rounds_of_a_job_without_a_click(start_page, page, pictures):
    dagster = Dagster(start_page.rstrip("/"))
    assert dagster.wait_for(dagster.launch_asset("job_report", "tiny")) == "SUCCESS"
    open_partition(page, "job_report", "tiny")
    page.locator("img[src^='data:image/svg+xml']").nth(4).wait_for()
    take(page, pictures / "report.png")
    page.get_by_role("link", name="checkpoint", exact=True).click()
    page.get_by_text("atlas model export").first.wait_for()
    take(page, pictures / "checkpoint.png")


@pytest.fixture
def foreign_page():
    """A page of another origin on this machine."""
    handler = partial(SimpleHTTPRequestHandler, directory=REPOSITORY / "tests/attacks")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/foreign_page.html"
        server.shutdown()


def test_a_page_of_another_origin_changes_and_reads_nothing(browser, start_page, foreign_page):
    dagster = Dagster(start_page.rstrip("/"))

    def paused() -> bool:
        return dagster.ask("{ instance { autoMaterializePaused } }", {})["instance"]["autoMaterializePaused"]

    assert paused()
    page = browser.new_page()
    page.goto(f"{foreign_page}?{urlencode({'target': dagster.url, 'mutation': MUTATION})}")
    page.wait_for_function("document.title.startsWith('done')")
    assert page.title() == "done []"
    page.close()
    assert paused()
    dagster.ask(MUTATION, {})  # the mutation works for the operator
    assert not paused()
    dagster.ask(MUTATION.replace("false", "true"), {})
