"""The Dagster UI under `atlas up`, in a real browser: lineage, launchpad, a round launched and looked at."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import REPOSITORY
from tests.support.pipeline.dagster_server import Dagster

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

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
def dagster(tmp_path_factory, tiny_model, tiny_csv):
    """`atlas up` with two agents, and one round that was launched as the launchpad does it."""
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
        dagster = Dagster(f"http://127.0.0.1:{port}")
        spec = home / "tiny.yaml"
        spec.write_text(
            json.dumps(
                {
                    "name": "tiny",
                    "model": {"source": f"path:{tiny_model}", "task": "sequence-classification"},
                    "dataset": {
                        "source": str(tiny_csv),
                        "labels": ["negative", "positive"],
                        "shard_by": {"column": "domain"},
                    },
                    "lora": {"rank": 4, "target_modules": ["query", "value"]},
                    "training": {"steps": 8, "batch_size": 4, "max_length": 16, "checkpoint_every": 4},
                    "payment": {"budget": 10_000_000, "reward_per_task": 100_000},
                }
            )
        )
        run = dagster.launch_round("tiny-r0001", {"spec": str(spec), "rounds": 2})
        assert dagster.wait_for(run) == "SUCCESS"
        yield dagster
    finally:
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0
        up.stdout.close()


@pytest.fixture
def page(dagster):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 900}, base_url=dagster.url)
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def test_the_lineage_shows_a_round_from_data_to_payout(page, pictures):
    page.goto("/asset-groups")
    page.get_by_text("federated", exact=True).last.wait_for()
    page.mouse.click(1000, 750, button="right")
    page.get_by_text("Expand all groups").last.click()
    for asset in ("dataset_shard", "base_checkpoint", "shard_adapter", "round_manifest", "reward_settlement"):
        page.get_by_text(asset, exact=True).first.wait_for()
    page.screenshot(path=pictures / "lineage.png")


def test_the_launchpad_explains_its_fields(page, pictures):
    page.goto("/locations/atlas_pipelines.definitions/jobs/federated_round/playground")
    page.get_by_text("federated_round").first.wait_for()
    page.locator(".CodeMirror").first.wait_for()
    page.screenshot(path=pictures / "launchpad.png")


def test_a_shard_shows_its_loss_curve_as_a_picture(page, pictures):
    page.goto("/assets/shard_adapter?view=partitions&partition=tiny-r0001|tiny-s003")
    page.get_by_text("tiny-s000").first.wait_for()
    page.locator("img[src^='data:image/svg+xml']").first.scroll_into_view_if_needed()
    page.screenshot(path=pictures / "shard.png")


def test_a_round_shows_its_updates_and_their_verdicts(page, pictures):
    page.goto("/assets/round_manifest?view=partitions&partition=tiny-r0001")
    page.get_by_role("cell", name="accepted", exact=True).nth(3).wait_for()
    page.locator("img[src^='data:image/svg+xml']").first.wait_for()
    page.screenshot(path=pictures / "round.png")
    page.get_by_text("[Show Markdown]").click()
    page.locator("img[src^='data:image/svg+xml']").first.wait_for()
    page.screenshot(path=pictures / "curves.png")


def test_a_settlement_shows_who_was_paid(page, pictures):
    page.goto("/assets/reward_settlement?view=partitions&partition=tiny-r0001")
    page.get_by_text("merkle_root").first.wait_for()
    page.get_by_text("500000").first.wait_for()
    page.screenshot(path=pictures / "settlement.png")


def test_a_report_shows_all_rounds_of_a_job_without_a_click(dagster, page, pictures):
    assert dagster.wait_for(dagster.launch_asset("job_report", "tiny")) == "SUCCESS"
    page.goto("/assets/job_report?view=partitions&partition=tiny")
    page.locator("img[src^='data:image/svg+xml']").nth(4).wait_for()
    page.screenshot(path=pictures / "report.png")
    page.get_by_role("link", name="checkpoint", exact=True).click()
    page.get_by_text("atlas model export").first.wait_for()
    page.screenshot(path=pictures / "checkpoint.png")
