//! reassign_batch.

use atlas::{AssignRefusal, ContractError};

use crate::fleet::{heartbeats, refused, suite, LEASE};
use crate::messages::{assign, complete, reassign, release, submit, PLAN};
use crate::suite::attribute;

#[test]
fn a_live_lease_changes_hands_without_a_penalty() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 1, 1)]));
    let response = suite.run("alice", reassign(1, 1, &[(0, 2, 2)]));
    assert_eq!(attribute(&response, "action").unwrap(), "reassign_batch");
    assert_eq!(attribute(&response, "plan").unwrap(), PLAN);
    assert_eq!((suite.node(1).used, suite.node(1).reputation), (1, 100));
    let lease = suite.lease(1, 1, 0).unwrap();
    assert_eq!((lease.node, lease.attempt, lease.live), (2, 2, true));
    let stale = ContractError::WrongAttempt { slot: 0, expected: 2, found: 1 };
    assert_eq!(suite.refusal("alice", complete(1, 1, &[(0, 1)])), stale);
}

#[test]
fn a_dead_lease_changes_hands_with_one() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 1, 1)]));
    suite.run("bob", release(1, 1, &[(1, 1)]));
    suite.wait(LEASE + 1);
    heartbeats(&mut suite);
    suite.run("alice", reassign(1, 1, &[(0, 2, 2), (1, 2, 2)]));
    assert_eq!((suite.node(1).used, suite.node(1).reputation), (0, 95));
    assert_eq!(suite.node(2).used, 2);
}

#[test]
fn only_what_was_leased_is_leased_again() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 1, 1)]));
    suite.run("alice", complete(1, 1, &[(0, 1)]));
    for (item, reason) in [
        ((4, 2, 1), AssignRefusal::SlotOutOfRange { last: 3 }),
        ((2, 2, 1), AssignRefusal::NeverAssigned),
        ((0, 2, 2), AssignRefusal::Completed),
        ((1, 2, 1), AssignRefusal::WrongAttempt { expected: 2, found: 1 }),
        ((1, 3, 2), AssignRefusal::NodeNotRegistered),
    ] {
        let expected = refused(item.0, item.1, reason);
        assert_eq!(suite.refusal("alice", reassign(1, 1, &[item])), expected);
    }
    suite.run("alice", complete(1, 1, &[(1, 1)]));
    suite.run("alice", submit(1, 1, 2, &[(1, 2)]));
    let submitted = ContractError::RoundSubmitted { job: 1, round: 1 };
    assert_eq!(suite.refusal("alice", reassign(1, 1, &[(1, 2, 2)])), submitted);
    let sender = suite.address("bob");
    let stranger = ContractError::NotJobOwner { sender, job: 1 };
    assert_eq!(suite.refusal("bob", reassign(1, 2, &[(1, 2, 1)])), stranger);
}
