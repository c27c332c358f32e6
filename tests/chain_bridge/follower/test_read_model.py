"""The copy of the contract's state: the same whatever pages the events come in, whole whenever it is interrupted."""

import base64
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_bridge.client.messages import Job, Node, RegisteredModel, Round, Share
from chain_bridge.follower.events import ContractEvent, WatchedContract, is_of, payouts_in, touched_by
from chain_bridge.follower.follower import was_reset
from chain_bridge.follower.read_model import OVERLAP_BLOCKS, Cursor, Entities, ReadModel

CONTRACT = WatchedContract("wasm1contract", "uatl")
OTHER = "wasm1other"


def wasm(contract=CONTRACT.address, kind="wasm", **attributes):
    return kind, {"_contract_address": contract, **attributes}


def transfer(sender, recipient, amount):
    return "transfer", {"sender": sender, "recipient": recipient, "amount": amount}


def numbered(transactions):
    """(height, events) per transaction as lists of `ContractEvent`."""
    return [
        [ContractEvent(f"T{number}", index, height, *event) for index, event in enumerate(events)]
        for number, (height, events) in enumerate(transactions)
    ]


def node_of(number, version):
    return Node(
        id=number, owner=f"owner{number}", kind="compute", capacity=2, used=0, stake=0, unbonding=[],
        reputation=version, last_seen=0, status="active", jailed_until=0, manifest="m",
        public_key=base64.b64encode(b"\x02" * 33),
    )  # fmt: skip


def job_of(number, version):
    return Job(
        id=number, owner="o", key="k", spec="s", dataset="d", shards=1, rounds=1, reward=1, deposited=10**20,
        reserved=0, paid=version, refunded=0, lease_seconds=1, state="open",
    )  # fmt: skip


def round_of(key, version):
    return Round(
        job=key[0], round=key[1], root=base64.b64encode(b"\x01" * 32), leaf_count=version, checkpoint="c", evidence="e",
        per_node=[Share(1, 1, 10_000)], submitted_at=1, settle_from=1, settled_at=None, open_challenges=0,
        struck=[(1, 1)],
    )  # fmt: skip


def model_of(name, version):
    return RegisteredModel(name=name, version=1, cid="c", job=version, parent=None, metrics=None, status="registered")


class State:
    """A chain whose entities count how often they were touched until a moment."""

    def __init__(self, transactions):
        self.transactions = transactions

    def at(self, moment):
        own = [[event for event in events if is_of(event, CONTRACT)] for events in self.transactions[:moment]]
        past = [touched_by(events) for events in own]

        def look_up(touched):
            def count(kind, key):
                return sum(key in getattr(one, kind) or (kind == "nodes" and one.all_nodes) for one in past)

            nodes = range(1, 4) if touched.all_nodes else sorted(touched.nodes)
            rounds = {key: count("rounds", key) for key in sorted(touched.rounds)}
            return Entities(
                nodes=[node_of(number, count("nodes", number)) for number in nodes],
                jobs=[job_of(number, count("jobs", number)) for number in sorted(touched.jobs)],
                rounds=[round_of(key, version) for key, version in rounds.items() if version % 3],
                gone=[key for key, version in rounds.items() if not version % 3],
                models=[model_of(name, count("models", name)) for name in sorted(touched.models)],
            )

        return look_up


def contents(model):
    return model.nodes(), model.jobs(), model.rounds(), model.models(), model.payouts()


numbers = st.integers(1, 3).map(str)
events = st.one_of(
    st.builds(lambda n: wasm(action="heartbeat", node_id=n), numbers),
    st.builds(lambda j, r: wasm(action="assign_batch", job_id=j, round=r), numbers, numbers),
    st.builds(lambda j, r: wasm(action="submit_round", job_id=j, round=r), numbers, numbers),
    st.builds(lambda n: wasm(action="register_model", name=n, version="1"), st.sampled_from("ab")),
    st.builds(
        lambda n, j, a: wasm(kind="wasm-credit", owner=f"owner{n}", node_id=n, job_id=j, round="1", amount=a),
        numbers, numbers, st.integers(0, 10**30).map(str),
    ),
    st.sampled_from(
        [
            wasm(action="withdraw_for"),
            wasm(action="close_job", job_id="1"),
            wasm(OTHER, action="heartbeat", node_id="3"),
            transfer(CONTRACT.address, "owner1", "12uatl"),
            transfer(CONTRACT.address, "owner2", "7uatl,3uother"),
            transfer("owner1", CONTRACT.address, "5uatl"),
        ]
    ),
)  # fmt: skip
chains = st.lists(st.tuples(st.integers(0, 4), st.lists(events, max_size=6)), max_size=25)


@settings(deadline=None, max_examples=60)
@given(chains, st.data())
def test_any_pages_with_any_overlap_and_any_interruption_give_the_same_copy(tmp_path_factory, chain, data):
    height, transactions = 1, []
    for step, found in chain:
        height += step
        transactions.append((height, found))
    transactions = numbered([(height, [*found, wasm(OTHER)]) for height, found in transactions])
    heights, state = [one[0].height for one in transactions], State(transactions)
    folder = tmp_path_factory.mktemp("models")
    end = Cursor(height, "end")

    with ReadModel(folder / "whole.db") as whole, ReadModel(folder / "pages.db") as pages:
        whole.apply([event for one in transactions for event in one], CONTRACT, state.at(len(transactions)), end)
        done = 0
        while done < len(transactions):
            start = data.draw(st.integers(0, done))
            cursor = pages.cursor()
            while cursor and start < done and heights[start] <= cursor.height - OVERLAP_BLOCKS:
                start += 1
            stop = data.draw(st.integers(done + 1, len(transactions)))
            moment = data.draw(st.integers(stop, len(transactions)))
            page = [event for one in transactions[start:stop] for event in one]
            if data.draw(st.booleans()):
                with contextlib.suppress(ConnectionError):
                    pages.apply(page, CONTRACT, broken, Cursor(heights[stop - 1], "never"))
            pages.apply(page, CONTRACT, state.at(moment), Cursor(heights[stop - 1], "page"))
            done = stop
        assert contents(pages) == contents(whole)


def broken(touched):
    raise ConnectionError("the chain went away")


def test_payouts_are_read_from_credit_and_from_what_the_bank_sends_on_a_withdrawal():
    found = numbered(
        [
            (
                5,
                [
                    transfer("someone", CONTRACT.address, "5uatl"),
                    wasm(action="settle", job_id="1", round="2"),
                    wasm(kind="wasm-credit", owner="a", node_id="1", job_id="1", round="2", amount="70"),
                    transfer(CONTRACT.address, "x", "1uatl"),
                    wasm(action="withdraw_for"),
                    transfer(CONTRACT.address, "a", "70uatl"),
                    transfer(CONTRACT.address, "b", "9uother,4uatl"),
                    transfer("a", "b", "1uatl"),
                ],
            ),
            (6, [transfer(CONTRACT.address, "x", "1uatl")]),
        ]
    )
    payouts = payouts_in([event for one in found for event in one], CONTRACT)
    assert [(one.kind, one.address, one.amount, one.round) for one in payouts] == [
        ("credit", "a", 70, 2),
        ("withdrawal", "a", 70, None),
        ("withdrawal", "b", 4, None),
    ]


def test_a_page_that_fails_leaves_the_copy_as_it_was(tmp_path):
    [first], [second] = numbered([(1, [wasm(action="heartbeat", node_id="1")]), (2, [wasm(action="settle")])])
    with ReadModel(tmp_path / "model.db") as model:
        model.apply([first], CONTRACT, State([[first]]).at(1), Cursor(1, "a"))
        before = contents(model)
        with pytest.raises(ConnectionError):
            model.apply([second], CONTRACT, broken, Cursor(2, "b"))
        assert (contents(model), model.cursor()) == (before, Cursor(1, "a"))
    with ReadModel(tmp_path / "model.db") as again:
        assert (contents(again), again.cursor()) == (before, Cursor(1, "a"))
        again.forget(Cursor(9, "other"))
        assert again.cursor() == Cursor(1, "a")
        again.forget(Cursor(1, "a"))
        assert (contents(again), again.cursor()) == (([], [], [], [], []), None)


@pytest.mark.parametrize(
    ("newest", "block", "reset"),
    [(10, "a", False), (99, "a", False), (99, "b", True), (10, "b", True), (9, None, True), (99, None, False)],
)
def test_a_chain_is_another_one_when_it_is_shorter_or_has_another_block(newest, block, reset):
    assert was_reset(Cursor(10, "a"), newest, block) is reset
