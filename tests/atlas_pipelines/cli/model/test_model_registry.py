"""`atlas model ls | promote | deprecate` on a real chain."""

import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas_pipelines.cli.model import registry
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.networks.faucet import send_coins
from resources.rounds.verdict import compare

pytestmark = [pytest.mark.slow, pytest.mark.system]


@pytest.fixture
def atlas(atlas_on_chain):
    """Run `atlas model …` on the chain."""
    return lambda *arguments: atlas_on_chain("model", *arguments)


@pytest.fixture
def register(open_job, operator_ledger):
    """Register so many versions of a name, as the rounds of a job of that name."""

    def register(name, versions):
        job = open_job(name).job_id
        for version in range(1, versions + 1):
            operator_ledger.register_model(name, version, checkpoint(name, version), job)
        return job

    return register


def checkpoint(name, version):
    return cid_of_bytes(f"{name} {version}".encode())


def test_models_are_listed_by_name_and_version(atlas, register, facts):
    job = register("listed", 2)
    first, second = facts(atlas("ls", "listed", "--json"))
    assert first == {
        "name": "listed",
        "version": 1,
        "cid": checkpoint("listed", 1),
        "job": job,
        "parent": None,
        "metrics": None,
        "status": "registered",
    }
    assert second["version"] == 2
    assert first in facts(atlas("ls", "--json"))
    assert checkpoint("listed", 2) in atlas("ls", "listed").stdout
    assert atlas("ls", "unheard").stdout == "No model is registered as unheard yet.\n"


def test_one_version_of_a_name_is_current(atlas, register, facts):
    register("tone", 3)
    newest = facts(atlas("promote", "tone", "--json"))
    assert (newest["version"], newest["status"]) == (3, "promoted")
    assert newest["transaction"]
    assert facts(atlas("promote", "tone", "1", "--json"))["cid"] == checkpoint("tone", 1)
    assert [one["status"] for one in facts(atlas("ls", "tone", "--json"))] == ["promoted", "registered", "registered"]
    assert "is promoted already" in atlas("promote", "tone", "1").stdout


def test_a_deprecated_version_is_passed_over(atlas, register, facts, refusal):
    register("old", 2)
    facts(atlas("promote", "old", "2", "--json"))
    assert facts(atlas("deprecate", "old", "2", "--json"))["status"] == "deprecated"
    assert facts(atlas("deprecate", "old", "2", "--json"))["transaction"] is None
    assert "is deprecated, which is final" in refusal(atlas("promote", "old", "2"))
    assert facts(atlas("promote", "old", "--json"))["version"] == 1
    facts(atlas("deprecate", "old", "1", "--json"))
    assert "Every version of model old is deprecated" in refusal(atlas("promote", "old"))


def test_a_version_that_is_worse_than_its_base_is_promoted_on_request_alone(
    atlas, register, facts, refusal, monkeypatch
):
    register("falling", 2)
    worse = compare({"loss": 0.5}, {"loss": 0.9, "loss_change_error": 0.01}, tolerance=0.02)
    verdicts = {checkpoint("falling", 2): worse}
    monkeypatch.setattr(registry, "recorded_verdict", lambda cid, *_: verdicts.get(cid))
    told = refusal(atlas("promote", "falling"))
    assert "loss 0.5000 -> 0.9000" in told
    assert "--worse" in told
    assert facts(atlas("promote", "falling", "1", "--json"))["status"] == "promoted"
    assert facts(atlas("promote", "falling", "--worse", "--json"))["version"] == 2


def test_what_cannot_be_done_is_told(atlas, register, refusal, chain_home, chain_addresses, operator_ledger):
    register("mine", 2)
    assert "atlas model ls" in refusal(atlas("promote", "nope"))
    assert "no version 9; it has 1, 2" in refusal(atlas("deprecate", "mine", "9"))
    other = load_or_create_key(chain_home.root / "other.key", "atlas")
    operator = load_or_create_key(chain_home.operator_key, "atlas")
    send_coins(chain_addresses.network, operator, {other.address: 10**6})
    told = refusal(atlas("promote", "mine", "--key", str(chain_home.root / "other.key")))
    assert f"model mine belongs to {operator.address}, not to {other.address}" in told
    assert "--key FILE" in told
    operator_ledger.pause(True)
    try:
        assert "atlas chain unpause" in refusal(atlas("promote", "mine"))
    finally:
        operator_ledger.pause(False)
