//! assign_batch.

use atlas::msg::{ExecuteMsg, LeaseAnswer};
use atlas::state::{LeaseState, NodeKind, NodeStatus, ACCOUNTS, STANDING};
use atlas::{AssignRefusal, ContractError};

use crate::fleet::{heartbeats, refused, suite, LEASE};
use crate::messages::{assign, complete, expire, reassign, register_as, release, submit, PLAN};
use crate::suite::{attribute, Suite, HEARTBEAT, MAX_BATCH, MIN_STAKE};

#[test]
fn a_batch_leases_slots_including_the_evaluation() {
    let mut suite = suite();
    let response = suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 2, 1), (3, 1, 1)]));
    assert_eq!(attribute(&response, "action").unwrap(), "assign_batch");
    assert_eq!(attribute(&response, "items").unwrap(), "3");
    let expected = LeaseAnswer {
        job: 1,
        round: 1,
        slot: 3,
        node: 1,
        attempt: 1,
        until: suite.now() + LEASE,
        plan: PLAN.into(),
        state: LeaseState::Active,
        live: true,
    };
    assert_eq!(suite.lease(1, 1, 3), Some(expected));
    assert_eq!((suite.node(1).used, suite.node(2).used), (2, 1));
}

#[test]
fn one_bad_item_refuses_the_batch() {
    let mut suite = suite();
    let error = suite.refusal("alice", assign(1, 1, &[(0, 1, 1), (1, 2, 1), (4, 1, 1)]));
    assert_eq!(error.to_string(), "slot 4, node 1: the last slot of the round is 3");
    assert!(suite.leases(1, 1).is_empty());
}

#[test]
fn a_batch_has_1_to_max_items() {
    let mut suite = suite();
    let too_many = vec![(0, 1, 1); MAX_BATCH as usize + 1];
    for items in [&[], &too_many[..]] {
        let expected = ContractError::BatchSize { found: items.len(), max: MAX_BATCH };
        assert_eq!(suite.refusal("alice", assign(1, 1, items)), expected);
        let items: Vec<(u32, u32)> = items.iter().map(|item| (item.0, item.2)).collect();
        assert_eq!(suite.refusal("alice", complete(1, 1, &items)), expected);
        assert_eq!(suite.refusal("alice", release(1, 1, &items)), expected);
        assert_eq!(suite.refusal("alice", submit(1, 1, 1, &items)), expected);
    }
}

#[test]
fn a_round_is_one_of_the_job() {
    let mut suite = suite();
    for found in [0, 3] {
        let expected = ContractError::OutOfRange { field: "round", found, max: 2 };
        assert_eq!(suite.refusal("alice", assign(1, found, &[(0, 1, 1)])), expected);
        assert_eq!(suite.refusal("alice", submit(1, found, 1, &[(1, 1)])), expected);
    }
}

#[test]
fn a_submitted_round_takes_no_more_work() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 2, 1)]));
    suite.run("alice", complete(1, 1, &[(0, 1)]));
    suite.run("alice", submit(1, 1, 1, &[(1, 1)]));
    let expected = ContractError::RoundSubmitted { job: 1, round: 1 };
    assert_eq!(suite.refusal("alice", assign(1, 1, &[(2, 1, 1)])), expected);
    assert_eq!(suite.refusal("alice", complete(1, 1, &[(1, 1)])), expected);
    suite.run("alice", release(1, 1, &[(1, 1)]));
    suite.run("alice", assign(1, 2, &[(0, 1, 1)]));
}

#[test]
fn a_plan_has_a_cid() {
    let mut suite = suite();
    for length in [0, 257] {
        let mut message = assign(1, 1, &[(0, 1, 1)]);
        if let ExecuteMsg::AssignBatch { plan, .. } = &mut message {
            *plan = "p".repeat(length);
        }
        let expected = ContractError::TextLength { field: "plan", length, max: 256 };
        assert_eq!(suite.refusal("alice", message), expected);
    }
}

#[test]
fn a_leased_slot_is_not_assigned_again_while_the_lease_lives() {
    let mut suite = suite();
    let until = suite.now() + LEASE;
    let taken = refused(0, 2, AssignRefusal::AlreadyAssigned { holder: 1, until });
    let twice = assign(1, 1, &[(0, 1, 1), (0, 2, 2)]);
    assert_eq!(suite.refusal("alice", twice), taken);
    suite.run("alice", assign(1, 1, &[(0, 1, 1)]));
    suite.wait(LEASE);
    heartbeats(&mut suite);
    assert_eq!(suite.refusal("alice", assign(1, 1, &[(0, 2, 2)])), taken);
    suite.wait(1);
    suite.run("alice", assign(1, 1, &[(0, 2, 2)]));
}

#[test]
fn a_completed_slot_is_not_assigned_again() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(0, 1, 1)]));
    suite.run("alice", complete(1, 1, &[(0, 1)]));
    let expected = refused(0, 2, AssignRefusal::Completed);
    assert_eq!(suite.refusal("alice", assign(1, 1, &[(0, 2, 2)])), expected);
}

#[test]
fn attempts_count_up_by_one() {
    let mut suite = suite();
    for found in [0, 2] {
        let expected = refused(0, 1, AssignRefusal::WrongAttempt { expected: 1, found });
        assert_eq!(suite.refusal("alice", assign(1, 1, &[(0, 1, found)])), expected);
    }
    suite.run("alice", assign(1, 1, &[(0, 1, 1)]));
    suite.run("alice", release(1, 1, &[(0, 1)]));
    for found in [1, 3] {
        let expected = refused(0, 2, AssignRefusal::WrongAttempt { expected: 2, found });
        assert_eq!(suite.refusal("alice", assign(1, 1, &[(0, 2, found)])), expected);
    }
    suite.run("alice", assign(1, 1, &[(0, 2, 2)]));
    assert_eq!(suite.lease(1, 1, 0).unwrap().attempt, 2);
}

#[test]
fn an_unknown_node_gets_nothing() {
    let mut suite = suite();
    let expected = refused(0, 3, AssignRefusal::NodeNotRegistered);
    assert_eq!(suite.refusal("alice", assign(1, 1, &[(0, 3, 1)])), expected);
}

#[test]
fn a_node_that_is_not_active_gets_nothing() {
    let mut suite = suite();
    let contract = suite.contract.clone();
    suite.run("carol", ExecuteMsg::DeregisterNode {});
    let error = suite.refusal("alice", assign(1, 1, &[(0, 2, 1)]));
    assert_eq!(error.to_string(), "slot 0, node 2: the node is retired, not active");
    // In jail with a reputation.
    let mut storage = suite.app.contract_storage_mut(&contract);
    let mut standing = STANDING.load(&*storage, 1).unwrap();
    standing.status = NodeStatus::Jailed;
    STANDING.save(&mut *storage, 1, &standing).unwrap();
    drop(storage);
    let jailed = refused(0, 1, AssignRefusal::NodeNotActive { status: NodeStatus::Jailed });
    assert_eq!(suite.refusal("alice", assign(1, 1, &[(0, 1, 1)])), jailed);
}

#[test]
fn a_storage_node_gets_nothing() {
    let mut suite = suite();
    suite.pay("dave", register_as(NodeKind::Storage, 3), MIN_STAKE);
    let wrong = refused(0, 3, AssignRefusal::WrongKind { kind: NodeKind::Storage });
    assert_eq!(suite.refusal("alice", assign(1, 1, &[(0, 3, 1)])), wrong);
}

#[test]
fn a_lease_reserves_its_reward() {
    let mut suite = suite();
    let reserved = |suite: &Suite| suite.job(1).reserved.u128();
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 2, 1), (2, 1, 1)]));
    assert_eq!(reserved(&suite), 15);
    suite.run("alice", release(1, 1, &[(0, 1)]));
    assert_eq!(reserved(&suite), 10);
    suite.run("alice", complete(1, 1, &[(1, 1)]));
    assert_eq!(reserved(&suite), 10);
    suite.run("alice", reassign(1, 1, &[(2, 2, 2), (0, 2, 2)]));
    assert_eq!(reserved(&suite), 15);
    suite.wait(HEARTBEAT + 1);
    suite.run("dave", expire(1, 1, 9));
    assert_eq!(reserved(&suite), 5);
}

#[test]
fn a_lease_that_the_escrow_no_longer_covers_is_refused() {
    let mut suite = suite();
    let contract = suite.contract.clone();
    let mut storage = suite.app.contract_storage_mut(&contract);
    let mut account = ACCOUNTS.load(&*storage, 1).unwrap();
    account.refunded = 31u128.into();
    ACCOUNTS.save(&mut *storage, 1, &account).unwrap();
    drop(storage);
    let expected =
        ContractError::EscrowSpent { job: 1, found: 9u128.into(), expected: 10u128.into() };
    assert_eq!(suite.refusal("alice", assign(1, 1, &[(0, 1, 1), (1, 2, 1)])), expected);
}

#[test]
fn a_silent_node_gets_nothing() {
    let mut suite = suite();
    let last_seen = suite.now();
    suite.wait(HEARTBEAT);
    suite.run("alice", assign(1, 1, &[(0, 1, 1)]));
    suite.wait(1);
    let stale =
        AssignRefusal::StaleHeartbeat { last_seen, heartbeat_seconds: HEARTBEAT, now: suite.now() };
    assert_eq!(suite.refusal("alice", assign(1, 1, &[(1, 1, 1)])), refused(1, 1, stale));
    suite.run("bob", ExecuteMsg::Heartbeat {});
    suite.run("alice", assign(1, 1, &[(1, 1, 1)]));
}

#[test]
fn a_full_node_gets_nothing() {
    let mut suite = suite();
    let four = [(0, 1, 1), (1, 1, 1), (2, 1, 1), (3, 1, 1)];
    let full = refused(3, 1, AssignRefusal::NoCapacity { used: 3, capacity: 3 });
    assert_eq!(suite.refusal("alice", assign(1, 1, &four)), full);
    suite.run("alice", assign(1, 1, &four[..3]));
    assert_eq!(suite.refusal("alice", assign(1, 1, &four[3..])), full);

    suite
        .run("bob", ExecuteMsg::UpdateNode { capacity: Some(2), manifest: None, public_key: None });
    suite.run("alice", complete(1, 1, &[(0, 1)]));
    let full = refused(3, 1, AssignRefusal::NoCapacity { used: 2, capacity: 2 });
    assert_eq!(suite.refusal("alice", assign(1, 1, &four[3..])), full);
    suite.run("alice", complete(1, 1, &[(1, 1)]));
    suite.run("alice", assign(1, 1, &four[3..]));
}
