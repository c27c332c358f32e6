import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_bridge.embedded.errors import FundsRefused, Refused
from chain_bridge.embedded.state.bank import Bank, Coin, coin
from chain_bridge.embedded.state.database import Database

NAMES = st.sampled_from(["alice", "bob", "carol"])
AMOUNTS = st.integers(0, 2**80)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    database = Database(tmp_path_factory.mktemp("bank") / "chain.db")
    yield database
    database.close()


@given(grants=st.dictionaries(NAMES, AMOUNTS), moves=st.lists(st.tuples(NAMES, NAMES, AMOUNTS)))
def test_moves_keep_the_sum_and_follow_the_model(database, grants, moves):
    model = dict.fromkeys(["alice", "bob", "carol"], 0) | grants
    with database.transaction(keep=False):
        bank = Bank(database)
        for name, amount in grants.items():
            bank.mint(name, Coin("uatl", amount))
        for sender, recipient, amount in moves:
            if model[sender] < amount:
                with pytest.raises(FundsRefused, match=f"spendable balance {model[sender]}uatl is smaller than"):
                    bank.send(sender, recipient, [Coin("uatl", amount)])
            else:
                bank.send(sender, recipient, [Coin("uatl", amount)])
                model[sender] -= amount
                model[recipient] += amount
        assert {name: bank.balance(name, "uatl") for name in model} == model
        assert sum(model.values()) == sum(grants.values())


def test_balances_list_what_is_held(database):
    with database.transaction(keep=False):
        bank = Bank(database)
        bank.mint("alice", Coin("uosmo", 2))
        bank.mint("alice", Coin("uatl", 2**200))
        bank.mint("alice", Coin("gone", 1))
        bank.burn("alice", [Coin("gone", 1)])
        assert bank.balances("alice") == [Coin("uatl", 2**200), Coin("uosmo", 2)]


@pytest.mark.parametrize("amount", ["", "-1", "1.5", "0x1", "\u0661", "1e3", str(2**256)])
def test_amounts_that_are_none_are_refused(amount):
    with pytest.raises(Refused, match="invalid coins"):
        coin("uatl", amount)
