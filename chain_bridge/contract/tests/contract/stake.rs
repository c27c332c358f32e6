//! add_stake, withdraw_stake, claim_stake, deregister_node, register_node again, unjail.

use atlas::msg::{ExecuteMsg, QueryMsg};
use atlas::state::{NodeKind, NodeStatus, Totals, Unbonding};
use atlas::ContractError;
use cosmwasm_std::{coins, Uint128};
use cw_utils::PaymentError;

use crate::fleet::LEASE;
use crate::messages::{assign, create_job, expire, register, register_as, release};
use crate::suite::{attribute, config, Suite, DENOM, FUNDS, JAIL, MIN_STAKE, UNBONDING};

const STAKE: u128 = MIN_STAKE + 20;

/// bob has node 1 with 20 more than the least stake.
fn suite() -> Suite {
    let mut suite = Suite::new();
    suite.pay("bob", register(25), STAKE);
    suite
}

fn withdraw(amount: u128) -> ExecuteMsg {
    ExecuteMsg::WithdrawStake { amount: amount.into() }
}

fn stakes(suite: &Suite) -> (u128, Vec<u128>) {
    let node = suite.node(1);
    (node.stake.u128(), node.unbonding.iter().map(|part| part.amount.u128()).collect())
}

#[test]
fn stake_is_added() {
    let mut suite = suite();
    let response = suite.pay("bob", ExecuteMsg::AddStake {}, 3);
    assert_eq!(attribute(&response, "amount").unwrap(), "3");
    assert_eq!(suite.node(1).stake.u128(), STAKE + 3);
    assert_eq!(suite.ask::<Totals>(QueryMsg::Totals {}).stake.u128(), STAKE + 3);
    let none = ContractError::Payment(PaymentError::NoFunds {});
    assert_eq!(suite.refusal("bob", ExecuteMsg::AddStake {}), none);
    let other = ContractError::Payment(PaymentError::MissingDenom(DENOM.into()));
    let error = suite.send_coins("bob", &ExecuteMsg::AddStake {}, &coins(1, "other")).unwrap_err();
    assert_eq!(error, other);
    let error = suite.send("alice", &ExecuteMsg::AddStake {}, 1).unwrap_err();
    assert_eq!(error, ContractError::NoNode { owner: suite.address("alice") });
}

#[test]
fn stake_unbonds_before_it_is_claimed() {
    let mut suite = suite();
    let response = suite.run("bob", withdraw(8));
    let release_at = suite.now() + UNBONDING;
    assert_eq!(attribute(&response, "release_at").unwrap(), release_at.to_string());
    assert_eq!(suite.node(1).unbonding, [Unbonding { amount: Uint128::new(8), release_at }]);
    assert_eq!(suite.node(1).stake.u128(), STAKE - 8);
    suite.wait(10);
    suite.run("bob", withdraw(4));

    let nothing = |now, unbonding| ContractError::NothingUnbonded { node: 1, now, unbonding };
    suite.wait(UNBONDING - 11);
    let now = suite.now();
    assert_eq!(suite.refusal("bob", ExecuteMsg::ClaimStake {}), nothing(now, 2));
    suite.wait(1);
    suite.run("bob", ExecuteMsg::ClaimStake {});
    assert_eq!((suite.credit("bob"), stakes(&suite)), (8, (STAKE - 12, vec![4])));
    suite.wait(10);
    suite.run("bob", ExecuteMsg::ClaimStake {});
    assert_eq!((suite.credit("bob"), stakes(&suite)), (12, (STAKE - 12, vec![])));
    let now = suite.now();
    assert_eq!(suite.refusal("bob", ExecuteMsg::ClaimStake {}), nothing(now, 0));
}

#[test]
fn the_least_stake_stays() {
    let mut suite = suite();
    let expected = Uint128::new(MIN_STAKE);
    let found = Uint128::new(MIN_STAKE - 1);
    let error = suite.refusal("bob", withdraw(21));
    assert_eq!(error, ContractError::StakeTooSmall { found, expected });
    for more in [STAKE + 1, u128::MAX] {
        let (found, expected) = (Uint128::new(STAKE), Uint128::new(more));
        let error = suite.refusal("bob", withdraw(more));
        assert_eq!(error, ContractError::StakeTooSmall { found, expected });
    }
    assert_eq!(suite.refusal("bob", withdraw(0)), ContractError::Zero { field: "amount" });
    suite.run("bob", withdraw(20));
}

#[test]
fn eight_parts_unbond_at_once() {
    let mut suite = suite();
    for _ in 0..8 {
        suite.run("bob", withdraw(1));
    }
    let expected = ContractError::TooManyUnbonding { node: 1, max: 8 };
    assert_eq!(suite.refusal("bob", withdraw(1)), expected);
    assert_eq!(suite.refusal("bob", ExecuteMsg::DeregisterNode {}), expected);
    suite.wait(UNBONDING);
    suite.run("bob", ExecuteMsg::ClaimStake {});
    suite.run("bob", withdraw(1));
}

#[test]
fn a_retired_node_gets_its_stake_back_and_does_nothing_more() {
    let mut suite = suite();
    suite.run("bob", ExecuteMsg::DeregisterNode {});
    assert_eq!(suite.node(1).status, NodeStatus::Retired);
    assert_eq!(stakes(&suite), (0, vec![STAKE]));
    let retired = ContractError::NodeRetired { node: 1 };
    for message in [
        ExecuteMsg::UpdateNode { capacity: Some(1), manifest: None, public_key: None },
        withdraw(1),
        ExecuteMsg::DeregisterNode {},
        ExecuteMsg::Unjail {},
        ExecuteMsg::Heartbeat {},
    ] {
        assert_eq!(suite.refusal("bob", message), retired);
    }
    assert_eq!(suite.send("bob", &ExecuteMsg::AddStake {}, 1).unwrap_err(), retired);
    suite.wait(UNBONDING);
    suite.run("bob", ExecuteMsg::ClaimStake {});
    suite.run("bob", ExecuteMsg::Withdraw {});
    assert_eq!(suite.balance(&suite.address("bob")), FUNDS);
}

#[test]
fn a_node_with_a_lease_stays() {
    let mut suite = suite();
    suite.pay("alice", create_job("k", 3, 1, 1), 4);
    suite.run("alice", assign(1, 1, &[(0, 1, 1)]));
    let expected = ContractError::NodeInUse { node: 1, used: 1 };
    assert_eq!(suite.refusal("bob", ExecuteMsg::DeregisterNode {}), expected);
    suite.run("bob", release(1, 1, &[(0, 1)]));
    suite.run("bob", ExecuteMsg::DeregisterNode {});
}

#[test]
fn a_retired_node_is_taken_up_again() {
    let mut suite = suite();
    suite.pay("alice", create_job("k", 3, 1, 1), 4);
    suite.run("alice", assign(1, 1, &[(0, 1, 1)]));
    suite.wait(LEASE + 1);
    suite.run("dave", expire(1, 1, 1));
    suite.run("bob", ExecuteMsg::DeregisterNode {});
    let error = suite.send("bob", &register(7), MIN_STAKE - 1).unwrap_err();
    let (found, expected) = (Uint128::new(MIN_STAKE - 1), Uint128::new(MIN_STAKE));
    assert_eq!(error, ContractError::StakeTooSmall { found, expected });

    let response = suite.pay("bob", register_as(NodeKind::Storage, 7), MIN_STAKE);
    assert_eq!(attribute(&response, "node_id").unwrap(), "1");
    let node = suite.node(1);
    assert_eq!((node.kind, node.capacity, node.reputation), (NodeKind::Storage, 7, 95));
    assert_eq!((node.status, node.last_seen), (NodeStatus::Active, suite.now()));
    assert_eq!(stakes(&suite), (MIN_STAKE, vec![STAKE]));
    suite.pay("carol", register(1), MIN_STAKE);
    assert_eq!(suite.nodes().len(), 2);
}

/// Lets 20 leases of node 1 run out, which takes all of its reputation.
fn jail(suite: &mut Suite) {
    suite.pay("alice", create_job("k", 25, 1, 1), 26);
    suite.run("alice", assign(1, 1, &(0..20).map(|slot| (slot, 1, 1)).collect::<Vec<_>>()));
    suite.wait(LEASE + 1);
    suite.run("dave", expire(1, 1, 20));
    assert_eq!(suite.node(1).status, NodeStatus::Jailed);
}

#[test]
fn a_node_leaves_jail_with_time_and_stake() {
    let mut suite = suite();
    let unjail = ExecuteMsg::Unjail {};
    let error = suite.send("bob", &unjail, MIN_STAKE).unwrap_err();
    assert_eq!(error, ContractError::NotJailed { node: 1, status: NodeStatus::Active });
    jail(&mut suite);
    let until = suite.now() + JAIL;
    assert_eq!(suite.node(1).jailed_until, until);
    suite.wait(JAIL - 1);
    let error = suite.send("bob", &unjail, MIN_STAKE).unwrap_err();
    assert_eq!(error, ContractError::StillJailed { node: 1, until, now: until - 1 });
    suite.wait(1);
    let error = suite.send("bob", &unjail, MIN_STAKE - 1).unwrap_err();
    let (found, expected) = (Uint128::new(MIN_STAKE - 1), Uint128::new(MIN_STAKE));
    assert_eq!(error, ContractError::StakeTooSmall { found, expected });
    let none = ContractError::Payment(PaymentError::NoFunds {});
    assert_eq!(suite.refusal("bob", unjail.clone()), none);

    suite.pay("bob", unjail, MIN_STAKE);
    let node = suite.node(1);
    assert_eq!((node.reputation, node.status), (10, NodeStatus::Active));
    assert_eq!(node.stake.u128(), STAKE + MIN_STAKE);
    suite.run("bob", ExecuteMsg::Heartbeat {});
    suite.run("alice", assign(1, 1, &[(0, 1, 2)]));
}

#[test]
fn retiring_is_no_way_out_of_jail() {
    let mut suite = suite();
    jail(&mut suite);
    suite.run("bob", ExecuteMsg::DeregisterNode {});
    suite.pay("bob", register(3), MIN_STAKE);
    let node = suite.node(1);
    assert_eq!((node.reputation, node.status), (0, NodeStatus::Jailed));
    assert_eq!(node.jailed_until, suite.now() + JAIL);
    suite.wait(JAIL);
    suite.pay("bob", ExecuteMsg::Unjail {}, MIN_STAKE);
    assert_eq!(suite.node(1).status, NodeStatus::Active);
}

#[test]
fn where_no_stake_is_asked_none_is_needed() {
    let mut free = config();
    free.min_stake = Uint128::zero();
    let mut suite = Suite::with(&free).unwrap();
    suite.run("bob", register(25));
    jail(&mut suite);
    suite.wait(JAIL);
    let error = suite.send("bob", &ExecuteMsg::Unjail {}, 1).unwrap_err();
    assert_eq!(error, ContractError::Payment(PaymentError::NonPayable {}));
    suite.run("bob", ExecuteMsg::Unjail {});
    suite.run("bob", ExecuteMsg::DeregisterNode {});
    assert!(suite.node(1).unbonding.is_empty());
}
