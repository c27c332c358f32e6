"""Which submission `atlas job rollback` takes back. Pure."""

import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas_pipelines.cli.job.rollback import submitted_round
from chain_bridge.client.messages import Round
from resources.errors import CoordinatorError

CID = cid_of_bytes(b"any")


def round_(number, open_challenges=0):
    return Round(
        job=1,
        round=number,
        root="AA==",
        leaf_count=2,
        checkpoint=CID,
        evidence=CID,
        per_node=[],
        submitted_at=0,
        settle_from=0,
        settled_at=None,
        open_challenges=open_challenges,
        struck=[],
    )


def test_a_round_that_another_starts_from_and_a_challenged_one_stay():
    with pytest.raises(CoordinatorError, match=r"Round 2 .* starts from round 1\. Take back the newest round, 3"):
        submitted_round("job", [round_(1), round_(2), round_(3)], 1)
    with pytest.raises(CoordinatorError, match="challenged"):
        submitted_round("job", [round_(1, open_challenges=1)], None)
