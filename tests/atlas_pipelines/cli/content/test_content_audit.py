"""`atlas content audit` on a real chain, with storage nodes that answer or do not."""

import pytest

from atlas.content.audit import audit_answer
from atlas.content.format.cid import cid_of_bytes
from atlas.content.local.store import LocalStore
from chain_bridge.client.keys import load_or_create_key
from chain_bridge.ledger import Ledger
from chain_bridge.networks.faucet import send_coins

pytestmark = [pytest.mark.slow, pytest.mark.system]


@pytest.fixture
def atlas(atlas_on_chain):
    """Run `atlas content audit` on the chain."""
    return lambda *arguments: atlas_on_chain("content", "audit", *arguments)


@pytest.fixture
def store(chain_addresses):
    return LocalStore(chain_addresses.content)


@pytest.fixture
def keeper(chain_home, chain_addresses, request):
    """The ledger of a new storage node."""
    key = load_or_create_key(chain_home.root / f"{request.node.name}.key", "atlas")
    send_coins(chain_addresses.network, load_or_create_key(chain_home.operator_key, "atlas"), {key.address: 1})
    with Ledger(chain_addresses.network, key) as ledger:
        ledger.register_node("storage", 8, cid_of_bytes(b"manifest"))
        yield ledger
        held = [one.cid for one in ledger.holdings(ledger.node_of(key.address).id) if one.audit is None]
        if held:
            ledger.drop_storage(held)


def nonce_of(keeper, cid):
    """The nonce of the open audit of a content."""
    (found,) = [one for one in keeper.holdings(keeper.node_of(keeper.address).id) if one.cid == cid]
    return found.audit.nonce


def test_a_node_proves_what_it_holds(atlas, store, keeper, operator_ledger, facts):
    operator_ledger.update_config(audit_seconds=3600)
    node = keeper.node_of(keeper.address).id
    here, elsewhere = store.put(b"an adapter"), cid_of_bytes(b"elsewhere")
    keeper.announce_storage([here, elsewhere])
    done = facts(atlas("--json"))
    assert (done["opened"], done["not_here"]) == ([{"cid": here, "node": node}], 1)
    keeper.answer_audit(here, audit_answer(nonce_of(keeper, here), store.fetch(here)))
    again = facts(atlas("--json"))
    assert (again["opened"], again["failed"]) == ([], [])
    (proven,) = [one for one in again["holdings"] if one["cid"] == here]
    assert proven["proven_at"]
    assert proven["audit_until"] is None
    assert facts(atlas("--hours", "0", "--json"))["opened"] == [{"cid": here, "node": node}]
    keeper.answer_audit(here, audit_answer(nonce_of(keeper, here), store.fetch(here)))
    assert f"{here}" in (shown := atlas("--limit", "0").stdout)
    assert "0 audits opened, 0 failed, 1 due, but without a copy on this machine" in shown


def test_a_node_that_does_not_answer_loses_the_announcement(atlas, store, keeper, operator_ledger, facts):
    operator_ledger.update_config(audit_seconds=0)
    node = keeper.node_of(keeper.address).id
    cid = store.put(b"another adapter")
    keeper.announce_storage([cid])
    assert facts(atlas("--json"))["opened"] == [{"cid": cid, "node": node}]
    done = facts(atlas("--limit", "0", "--json"))
    assert done["failed"] == [{"cid": cid, "node": node}]
    assert cid not in [one["cid"] for one in done["holdings"]]
    assert keeper.node(node).reputation == 95


def test_only_the_owner_of_the_contract_audits(atlas, refusal, keeper, chain_home, request):
    told = refusal(atlas("--key", str(chain_home.root / f"{request.node.name}.key")))
    assert "Only the owner of the contract" in told
    assert "audits stored content" in told
