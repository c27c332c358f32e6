"""`atlas job rollback` on a real chain, whose rounds can be challenged for an hour."""

import pytest

from atlas.content.format.cid import cid_of_bytes
from chain_bridge.client.messages import Assignment, Share, SlotAttempt

pytestmark = [pytest.mark.slow, pytest.mark.system]
CID = cid_of_bytes(b"any")


@pytest.fixture
def atlas(atlas_on_chain):
    """Run `atlas job …` on the chain."""
    return lambda *arguments: atlas_on_chain("job", *arguments)


@pytest.fixture
def submit(open_job, operator_ledger, node_on_chain):
    """Open a job under a name and submit its only round; `window` is its challenge window in seconds."""

    def submit(name, window=3600):
        operator_ledger.update_config(challenge_seconds=window)
        job = open_job(name).job_id
        operator_ledger.assign_batch(job, 1, CID, [Assignment(slot, node_on_chain, 1) for slot in (0, 1)])
        operator_ledger.complete_batch(job, 1, [SlotAttempt(0, 1), SlotAttempt(1, 1)])
        operator_ledger.submit_round(job, 1, bytes(32), 2, CID, CID, [Share(node_on_chain, 2, 10_000)])
        return job

    return submit


def test_the_newest_submission_is_taken_back_and_may_be_made_again(atlas, submit, facts, refusal, operator_ledger):
    job = submit("early")
    done = facts(atlas("rollback", "early", "--json"))
    assert (done["job_id"], done["round"], done["checkpoint"]) == (job, 1, CID)
    assert done["transaction"]
    assert operator_ledger.round(job, 1) is None
    assert operator_ledger.job(job).reserved == 200
    assert "nothing to take back" in refusal(atlas("rollback", "early"))
    operator_ledger.submit_round(job, 1, bytes(32), 2, CID, CID, [Share(1, 2, 10_000)])
    assert "Round 1 of job early is no longer submitted" in atlas("rollback", "early", "1").stdout


def test_what_cannot_be_taken_back_is_told(atlas, submit, refusal, operator_ledger):
    job = submit("paid", window=0)
    assert "Round 2 of job 'paid' is not submitted; the newest that is: 1." in refusal(atlas("rollback", "paid", "2"))
    operator_ledger.settle(job, 1)
    assert "is settled" in refusal(atlas("rollback", "paid"))
    assert "'nope'" in refusal(atlas("rollback", "nope"))
