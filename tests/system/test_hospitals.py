"""Data that never leaves: two sites train one model, on rows that nobody but their own agents ever sees."""

import csv
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.system
SECRETS = ("Xylander", "Quimby")


@pytest.fixture
def sites(tiny_csv, tmp_path) -> list[Path]:
    """Half of the tiny rows for each of two sites, each text with the name of a patient of theirs."""
    with tiny_csv.open(encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    found = []
    for number, secret in enumerate(SECRETS):
        path = tmp_path / "sites" / f"site-{number}.csv"
        path.parent.mkdir(exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["note", "finding"])
            writer.writerows([f"{text} {secret}", label] for text, label, _ in rows[number::2][: 30 + 20 * number])
        found.append(path)
    return found


@pytest.fixture
def nodes(sites, tmp_path) -> Path:
    """Settings of the agents: one site each."""
    path = tmp_path / "nodes.yaml"
    source = {"text_column": "note", "label_column": "finding"}
    path.write_text(yaml.safe_dump([{"datasets": {"notes": {"source": str(site), **source}}} for site in sites]))
    return path


@pytest.fixture
def hospitals(tiny_spec, tiny_csv):
    def write(name: str) -> Path:
        source = {"source": "node-local:notes", "shard_by": {"nodes": 2}, "holdout_source": str(tiny_csv)}
        return tiny_spec(name=name, dataset=source)

    return write


def files_with(secret: str, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_two_sites_train_one_model_and_no_row_leaves_its_node(workplace, hospitals, nodes, sites):
    place = workplace()
    summary = place.json("run", hospitals("tiny"), "--nodes", nodes)
    assert [entry["round"] for entry in summary["rounds"]] == [1, 2]
    tasks = [task for task in summary["tasks"] if task["shard"]]
    assert {task["state"] for task in tasks} == {"completed"}
    assert len({(task["shard"], task["node"]) for task in tasks}) == 2
    verified = place.json("verify", summary["checkpoint"])
    assert [entry["round"] for entry in verified["checkpoints"]] == [2, 1, 0]
    assert not any(files_with(secret, place.home) for secret in SECRETS)


def test_data_that_change_under_an_open_job_are_refused_until_they_are_registered_anew(
    workplace, hospitals, nodes, sites
):
    place = workplace()
    running = place.start("run", hospitals("tiny"), "--nodes", nodes)
    place.wait_for(lambda: "evaluation: assigned" in place.output(), "the end of the first round's training")
    sites[0].write_text(sites[0].read_text().replace("Xylander", "Xylophon", 1))
    running.wait(240)
    assert (
        "differs from the registered one: expected 30 rows, found 30, or other contents. Restart the agent"
        in place.output()
    )
    assert "Xyl" not in place.output()

    later = place.json("run", hospitals("later"), "--nodes", nodes, "--rounds", "1")
    assert {task["state"] for task in later["tasks"]} == {"completed"}
    assert not any(files_with(secret, place.home) for secret in (*SECRETS, "Xylophon"))
