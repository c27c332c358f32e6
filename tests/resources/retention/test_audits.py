"""Which announced contents are audited next, and which audits have failed. Pure."""

import base64

from chain_bridge.client.messages import Holding
from resources.retention.audits import due, is_overdue


def holding(cid, proven_at=None, until=None):
    text = base64.b64encode(bytes(32)).decode()
    audit = None if until is None else {"nonce": text, "answer_hash": text, "until": until}
    return Holding.model_validate({"cid": cid, "node": 1, "since": 1, "proven_at": proven_at, "audit": audit})


def test_what_was_never_proven_or_longest_ago_is_due_first():
    never, old, new, asked = holding("b"), holding("a", 100), holding("c", 190), holding("d", 1, until=300)
    assert [one.cid for one in due([new, old, asked, never], now=200, proven_seconds=50)] == ["b", "a"]
    assert is_overdue(asked, 300)
    assert not is_overdue(asked, 299)
    assert not is_overdue(never, 300)
