"""What the tests of the ledger's areas begin with."""

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
STAKE, BOND, REWARD = 1000, 7, 100


def create_job(operator, key="job", rounds=2):
    return operator.create_job(key, CID, CID, 1, rounds, REWARD, lease_seconds=600, escrow=REWARD * 2 * rounds)


def own(ledger):
    return ledger.node_of(ledger.address)


def balanced(ledger):
    totals = ledger.totals()
    return ledger.balance(ledger.contract) == totals.held
