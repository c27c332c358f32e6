//! How leases end: complete_batch, release_batch, expire_leases, and a new assignment.

use atlas::msg::ExecuteMsg;
use atlas::state::{LeaseState, NodeStatus, STANDING};
use atlas::{AssignRefusal, ContractError};

use crate::fleet::{heartbeats, refused, suite, LEASE};
use crate::messages::{assign, complete, create_job, expire, register, release};
use crate::suite::{attribute, config, Suite, HEARTBEAT, JAIL, MAX_BATCH, MIN_STAKE};

fn state(suite: &Suite, slot: u32) -> LeaseState {
    suite.lease(1, 1, slot).unwrap().state
}

#[test]
fn a_spent_reputation_jails() {
    let mut suite = Suite::new();
    suite.pay("bob", register(25), MIN_STAKE);
    suite.pay("alice", create_job("k", 25, 1, 1), 26);
    let items: Vec<_> = (0..21).map(|slot| (slot, 1, 1)).collect();
    suite.run("alice", assign(1, 1, &items));
    suite.wait(LEASE + 1);
    suite.run("bob", ExecuteMsg::Heartbeat {});
    suite.run("dave", expire(1, 1, 19));
    assert_eq!((suite.node(1).reputation, suite.node(1).status), (5, NodeStatus::Active));
    suite.run("dave", expire(1, 1, 1));
    let node = suite.node(1);
    assert_eq!((node.reputation, node.status), (0, NodeStatus::Jailed));
    assert_eq!(node.jailed_until, suite.now() + JAIL);
    let expected = refused(22, 1, AssignRefusal::NoReputation);
    assert_eq!(suite.refusal("alice", assign(1, 1, &[(22, 1, 1)])), expected);

    suite.run("alice", complete(1, 1, &[(20, 1)]));
    assert_eq!((suite.node(1).reputation, suite.node(1).status), (1, NodeStatus::Jailed));
    let expected = refused(22, 1, AssignRefusal::NodeNotActive { status: NodeStatus::Jailed });
    assert_eq!(suite.refusal("alice", assign(1, 1, &[(22, 1, 1)])), expected);
}

#[test]
fn replacing_a_dead_lease_expires_it() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 1, 1)]));
    suite.wait(LEASE + 1);
    heartbeats(&mut suite);
    suite.run("alice", assign(1, 1, &[(0, 2, 2)]));
    assert_eq!((suite.node(1).used, suite.node(1).reputation), (1, 95));
    assert_eq!((suite.node(2).used, suite.node(2).reputation), (1, 100));

    let expected = ContractError::WrongAttempt { slot: 0, expected: 2, found: 1 };
    assert_eq!(suite.refusal("alice", complete(1, 1, &[(0, 1)])), expected);
    assert_eq!(suite.refusal("bob", release(1, 1, &[(0, 1)])), expected);
    // The node itself may take its slot again.
    suite.run("alice", assign(1, 1, &[(1, 1, 2)]));
    assert_eq!((suite.node(1).used, suite.node(1).reputation), (1, 90));
}

#[test]
fn a_lease_dies_with_the_silence_of_its_node() {
    let mut suite = suite();
    suite.wait(HEARTBEAT);
    suite.run("alice", assign(1, 1, &[(0, 1, 1)]));
    assert!(suite.lease(1, 1, 0).unwrap().live);
    suite.wait(1);
    assert!(!suite.lease(1, 1, 0).unwrap().live);
    suite.run("carol", ExecuteMsg::Heartbeat {});
    suite.run("alice", assign(1, 1, &[(0, 2, 2)]));
    assert_eq!(suite.node(1).reputation, 95);
}

#[test]
fn completing_frees_and_praises() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 2, 1), (2, 1, 1)]));
    let response = suite.run("alice", complete(1, 1, &[(0, 1), (1, 1)]));
    assert_eq!(attribute(&response, "items").unwrap(), "2");
    assert_eq!((suite.node(1).used, suite.node(1).reputation), (1, 101));
    assert_eq!((suite.node(2).used, suite.node(2).reputation), (0, 101));
    assert_eq!(state(&suite, 0), LeaseState::Completed);
    assert!(!suite.lease(1, 1, 0).unwrap().live);
}

#[test]
fn a_late_result_counts_while_nobody_took_the_slot() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(0, 1, 1)]));
    suite.wait(LEASE + HEARTBEAT + 1);
    suite.run("alice", complete(1, 1, &[(0, 1)]));
    assert_eq!(suite.node(1).reputation, 101);
}

#[test]
fn only_an_active_lease_ends() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 1, 1), (2, 1, 1)]));
    let twice = ContractError::LeaseNotActive { slot: 0, state: LeaseState::Completed };
    assert_eq!(suite.refusal("alice", complete(1, 1, &[(0, 1), (0, 1)])), twice);
    suite.run("alice", complete(1, 1, &[(0, 1)]));
    suite.run("alice", release(1, 1, &[(1, 1)]));
    suite.wait(LEASE + 1);
    suite.run("dave", expire(1, 1, 5));
    for (slot, ended) in
        [LeaseState::Completed, LeaseState::Released, LeaseState::Expired].into_iter().enumerate()
    {
        let slot = slot as u32;
        let expected = ContractError::LeaseNotActive { slot, state: ended };
        assert_eq!(suite.refusal("alice", complete(1, 1, &[(slot, 1)])), expected);
        assert_eq!(suite.refusal("alice", release(1, 1, &[(slot, 1)])), expected);
    }
    let expected = ContractError::LeaseNotFound { job: 1, round: 1, slot: 3 };
    assert_eq!(suite.refusal("alice", complete(1, 1, &[(3, 1)])), expected);
    assert_eq!(suite.refusal("alice", release(1, 1, &[(3, 1)])), expected);
    let expected = ContractError::WrongAttempt { slot: 0, expected: 1, found: 2 };
    assert_eq!(suite.refusal("alice", complete(1, 1, &[(0, 2)])), expected);
}

#[test]
fn releasing_frees_and_does_not_blame() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 2, 1)]));
    suite.run("alice", release(1, 1, &[(0, 1), (1, 1)]));
    for id in [1, 2] {
        assert_eq!((suite.node(id).used, suite.node(id).reputation), (0, 100));
    }
    assert_eq!(state(&suite, 0), LeaseState::Released);
}

#[test]
fn a_node_releases_what_it_holds_and_nothing_else() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 2, 1)]));
    for (sender, node, slot) in [("bob", 2, 1), ("dave", 1, 0)] {
        let expected =
            ContractError::NotLeaseHolder { sender: suite.address(sender), job: 1, node, slot };
        assert_eq!(suite.refusal(sender, release(1, 1, &[(0, 1), (1, 1)])), expected);
    }
    suite.run("bob", release(1, 1, &[(0, 1)]));
    assert_eq!((suite.node(1).used, suite.node(1).reputation), (0, 100));
}

#[test]
fn anybody_expires_what_ran_out_and_nothing_else() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 2, 1)]));
    suite.wait(LEASE);
    heartbeats(&mut suite);
    suite.run("alice", assign(1, 1, &[(2, 1, 1)]));
    let response = suite.run("dave", expire(1, 1, 5));
    assert_eq!(attribute(&response, "expired").unwrap(), "0");
    suite.wait(1);
    let response = suite.run("dave", expire(1, 1, 5));
    assert_eq!(attribute(&response, "expired").unwrap(), "2");
    assert_eq!(attribute(&response, "last_slot"), None);
    assert_eq!((suite.node(1).used, suite.node(1).reputation), (1, 95));
    assert_eq!((suite.node(2).used, suite.node(2).reputation), (0, 95));
    let states: Vec<_> = suite.leases(1, 1).into_iter().map(|lease| lease.state).collect();
    assert_eq!(states, [LeaseState::Expired, LeaseState::Expired, LeaseState::Active]);
}

#[test]
fn expiry_goes_on_from_a_slot() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 2, 1), (2, 1, 1), (3, 2, 1)]));
    suite.wait(LEASE + 1);
    let response = suite.run("dave", expire(1, 1, 1));
    assert_eq!(attribute(&response, "expired").unwrap(), "1");
    assert_eq!(attribute(&response, "last_slot").unwrap(), "0");
    let rest = ExecuteMsg::ExpireLeases { job: 1, round: 1, limit: 25, start_after_slot: Some(1) };
    let response = suite.run("dave", rest);
    assert_eq!(attribute(&response, "expired").unwrap(), "2");
    assert_eq!(state(&suite, 1), LeaseState::Active);
    let zero = suite.refusal("dave", expire(1, 1, 0));
    assert_eq!(zero, ContractError::Zero { field: "limit" });
}

#[test]
fn expiry_never_does_more_than_a_batch() {
    let mut suite = Suite::new();
    suite.pay("bob", register(40), MIN_STAKE);
    suite.pay("alice", create_job("k", 40, 1, 1), 41);
    for first in [0, 20] {
        let items: Vec<_> = (first..first + 20).map(|slot| (slot, 1, 1)).collect();
        suite.run("alice", assign(1, 1, &items));
    }
    suite.wait(LEASE + 1);
    let response = suite.run("dave", expire(1, 1, u32::MAX));
    assert_eq!(attribute(&response, "expired").unwrap(), MAX_BATCH.to_string());
    assert_eq!(attribute(&response, "last_slot").unwrap(), (MAX_BATCH - 1).to_string());
}

#[test]
fn a_reputation_ends_at_1000() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 1, 1)]));
    let contract = suite.contract.clone();
    let mut storage = suite.app.contract_storage_mut(&contract);
    let mut standing = STANDING.load(&*storage, 1).unwrap();
    standing.reputation = 999;
    STANDING.save(&mut *storage, 1, &standing).unwrap();
    drop(storage);
    for slot in [0, 1] {
        suite.run("alice", complete(1, 1, &[(slot, 1)]));
        assert_eq!(suite.node(1).reputation, 1000);
    }
}

#[test]
fn expiry_looks_at_1000_leases_and_goes_on_from_there() {
    let mut wide = config();
    wide.max_batch = Some(200);
    let mut suite = Suite::with(&wide).unwrap();
    suite.pay("bob", register(1000), MIN_STAKE);
    suite.pay("alice", create_job("k", 1000, 1, 1), 1001);
    for first in (0..1000).step_by(200) {
        let slots = first..first + 200;
        let items: Vec<_> = slots.clone().map(|slot| (slot, 1, 1)).collect();
        suite.run("alice", assign(1, 1, &items));
        let items: Vec<_> = slots.map(|slot| (slot, 1)).collect();
        suite.run("alice", complete(1, 1, &items));
    }
    suite.run("alice", assign(1, 1, &[(1000, 1, 1)]));
    suite.wait(LEASE + 1);

    let response = suite.run("dave", expire(1, 1, 1));
    assert_eq!(attribute(&response, "expired").unwrap(), "0");
    assert_eq!(attribute(&response, "last_slot").unwrap(), "999");
    let rest = ExecuteMsg::ExpireLeases { job: 1, round: 1, limit: 1, start_after_slot: Some(999) };
    let response = suite.run("dave", rest);
    assert_eq!(attribute(&response, "expired").unwrap(), "1");
}
