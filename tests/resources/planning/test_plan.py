"""What a plan says of money, nodes and time; and that an order which cannot run is refused before a model is loaded."""

import pytest

from atlas.content.format.cid import cid_of_bytes
from atlas.documents.manifests import Environment, Receipt, ShardManifest, SignedReceipt
from atlas.documents.stored import put_document
from atlas.training.preview.documents import Memory, Preview
from chain_bridge.client.network import Network
from chain_bridge.errors import InsufficientFunds
from node_agent.presence.machine import NodeManifest
from resources.errors import BudgetError
from resources.jobs.registry import Attempt, JobRow
from resources.planning.compose import plan_of
from resources.planning.data import CutData
from resources.planning.fleet import Account, Fleet, look_at_fleet
from resources.planning.make_plan import make_plan
from resources.planning.speeds import measured_speeds
from resources.planning.tables import plan_tables
from tests.resources.placement.test_filters import node

CID = cid_of_bytes(b"any")


def piece(key: str, rows: int = 10) -> ShardManifest:
    return ShardManifest(key=key, cid=CID, rows=rows, bytes=100, tokens=50)


def manifest(price: int = 0, memory: int = 2**34, gpus: list[str] | None = None) -> NodeManifest:
    return NodeManifest(
        address="atlas1one",
        version="1",
        platform="Linux",
        cpu="x",
        cores=4,
        memory_bytes=memory,
        gpus=gpus or [],
        slots=2,
        price=price,
    )


def fleet_of(*nodes) -> Fleet:
    network = Network.model_construct(denom="uatl")
    return Fleet(network, "contract", 60, list(nodes), Account("atlas1operator", 7_000_000))


DATA = CutData([piece("s000"), piece("s001")], 2, piece("holdout"), None, 1, 2, ["few rows"])
PREVIEW = Preview(
    parameters=1000,
    trainable=100,
    tokens={"s000": 400, "s001": 800},
    holdout_tokens=70,
    rows=[],
    memory=[Memory(task="train", device="cpu", tensors=2**30, libraries=2**29)],
)


def plan_for(order, fleet, speeds=None, revoked=(), data=DATA, preview=PREVIEW):
    return plan_of(order, data, preview, fleet, speeds or {}, list(revoked), now=1010)


def test_without_a_network_nodes_time_and_balance_are_unknown(paper_spec):
    plan = plan_for(paper_spec(), None)
    assert plan.nodes is None
    assert plan.refusal is None
    assert plan.steps.seconds_per_round is None
    assert plan.cost.balance is None
    shown = {table.title: table for table in plan_tables(plan)}
    assert "nodes: unknown, because no network runs" in shown
    facts = dict(shown["job"].rows)
    assert (facts["training per round"], facts["operator's balance"]) == ("unknown", "unknown")


def test_cost_and_steps_are_those_of_all_shards_and_rounds(paper_spec):
    plan = plan_for(paper_spec(rounds=3), fleet_of())
    assert (plan.cost.per_round, plan.cost.total, plan.cost.escrow) == (300_000, 900_000, 1_000_000)
    assert plan.cost.balance == 7_000_000
    assert (plan.steps.per_task, plan.steps.total) == (40, 40 * 2 * 3)
    assert plan.data.shards[1].tokens == 800
    assert plan.warnings == ["few rows"]


def test_nodes_that_fit_have_their_speed_and_the_others_their_reason(paper_spec):
    fleet = fleet_of(
        (node(id=1, capacity=1), manifest()),
        (node(id=2, capacity=1), None),
        (node(id=3), manifest(price=100_001)),
        (node(id=4), manifest(memory=2**31)),
        (node(id=5, reputation=0), manifest()),
        (node(id=6, capacity=0), manifest(memory=1, gpus=["H200"])),
    )
    plan = plan_for(paper_spec(), fleet, {1: 40.0, 2: 100.0})
    assert {one.node: one.obstacle for one in plan.nodes} == {
        1: None,
        2: None,
        3: "its price is 100001 per task, and the job pays 100000",
        4: "it has 1.00 GiB per task, and a task takes about 1.50 GiB",
        5: "its reputation is 0",
        6: None,
    }
    assert plan.steps.seconds_per_round == 10  # 400 tokens at 40/s, 800 at 100/s
    assert plan.refusal is None


@pytest.mark.parametrize(
    ("nodes", "revoked", "reason"),
    [
        ([], (), "no node is available"),
        ([(node(), manifest(price=200_000))], (), "less than the price of node 1"),
        ([(node(), manifest())], ("atlas1one",), "revoked in the key ring"),
    ],
    ids=["none", "price", "revoked"],
)
def test_if_no_node_takes_its_tasks_the_plan_says_what_a_run_would(paper_spec, nodes, revoked, reason):
    assert reason in plan_for(paper_spec(), fleet_of(*nodes), revoked=revoked).refusal


def test_speeds_are_those_of_finished_training_tasks_of_the_same_model(place, paper_spec):
    row = JobRow("one", put_document(place.store, paper_spec(rounds=1)), CID, CID, CID, "contract", 1)
    place.registry.save_job(row)

    def record(slot, node_id, tokens, seconds, **changes):
        fields = {
            "task": CID,
            "task_id": "x",
            "attempt": 1,
            "node": "atlas1one",
            "data": CID,
            "base": CID,
            "adapter": CID,
            "tokens_seen": tokens,
            "environment": Environment(
                device="cpu", torch="0", transformers="0", peft="0", platform="x", precision="fp32"
            ),
            "started_at": 5.0,
            "finished_at": 5.0 + seconds,
            **changes,
        }
        receipt = put_document(place.store, SignedReceipt(receipt=Receipt(**fields), public_key="00", signature="00"))
        place.registry.record_assigned(row.round(1), Attempt(slot, 1, f"task-{slot}", CID, node_id))
        place.registry.record_completed(row.round(1), slot, 1, receipt, CID)

    record(0, 1, tokens=100, seconds=10)
    record(1, 1, tokens=300, seconds=10)
    record(2, 2, tokens=50, seconds=0.5)
    record(3, 2, tokens=999, seconds=1, resumed_from=CID)
    record(4, 3, tokens=999, seconds=1, adapter=None)
    read = place.registry, place.store
    assert measured_speeds(CID, "fp32", "contract", *read) == {1: 20.0, 2: 100.0}
    assert measured_speeds(CID, "bf16", "contract", *read) == {}
    assert measured_speeds(CID, "fp32", "other", *read) == {}
    assert measured_speeds(cid_of_bytes(b"other"), "fp32", "contract", *read) == {}


async def test_the_nodes_and_the_balance_are_read_from_the_chain(place, add_node):
    await add_node(capacity=3)
    fleet = look_at_fleet(place.addresses.network, place.home, place.store)
    assert [(one.capacity, found) for one, found in fleet.nodes] == [(3, None)]
    assert fleet.account is None  # this home has no key, and none was made
    assert not place.home.operator_key.exists()


def test_an_order_that_cannot_be_paid_is_refused_before_its_model_is_looked_at(place, paper_spec, servers):
    with pytest.raises(BudgetError, match=r"Raise payment\.budget to 1000000"):
        make_plan(paper_spec(payment={"budget": 1, "reward_per_task": 100_000}), place.home, None, place.store)
    assert not (place.home.root / "cache").exists()
    place.home.operator_key.parent.mkdir(parents=True)
    place.home.operator_key.write_bytes((servers.content.parent / "keys" / "operator.key").read_bytes())
    place.home.operator_key.chmod(0o600)
    rich = paper_spec(payment={"budget": 9 * 10**15, "reward_per_task": 100_000})
    with pytest.raises(InsufficientFunds, match=r"lower payment\.budget"):
        make_plan(rich, place.home, place.addresses, place.store)
