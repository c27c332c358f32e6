//! submit_round, settle.

use atlas::msg::{ExecuteMsg, RoundAnswer, Share};
use atlas::ContractError;
use cosmwasm_std::Binary;

use crate::messages::{
    assign, complete, create_job, register, release, settle, submit, submit_shares,
};
use crate::suite::{attribute, config, Suite, CHALLENGE, MIN_STAKE};

/// alice owns job 1 (3 shards, 2 rounds, reward 5). In round 1 node 1 of bob completed two tasks
/// and node 2 of carol one.
fn suite() -> Suite {
    let mut suite = Suite::new();
    suite.pay("bob", register(3), MIN_STAKE);
    suite.pay("carol", register(3), MIN_STAKE);
    suite.pay("alice", create_job("k", 3, 2, 5), 40);
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 2, 1), (2, 1, 1)]));
    suite.run("alice", complete(1, 1, &[(0, 1), (1, 1)]));
    suite.run("alice", complete(1, 1, &[(2, 1)]));
    suite
}

#[test]
fn a_submitted_round_is_kept() {
    let mut suite = suite();
    let response = suite.run("alice", submit(1, 1, 3, &[(1, 2), (2, 1)]));
    assert_eq!(attribute(&response, "action").unwrap(), "submit_round");
    let settle_from = suite.now() + CHALLENGE;
    assert_eq!(attribute(&response, "settle_from").unwrap(), settle_from.to_string());
    let expected = RoundAnswer {
        job: 1,
        round: 1,
        root: Binary::from([7u8; 32]),
        leaf_count: 3,
        checkpoint: "bafycheckpoint".into(),
        evidence: "bafyevidence".into(),
        per_node: vec![
            Share { node: 1, count: 2, bps: 6667 },
            Share { node: 2, count: 1, bps: 3333 },
        ],
        submitted_at: suite.now(),
        settle_from,
        settled_at: None,
        open_challenges: 0,
        struck: vec![],
    };
    assert_eq!(suite.round(1, 1), Some(expected));
    assert_eq!(suite.job(1).reserved.u128(), 15);
}

#[test]
fn a_round_is_submitted_once() {
    let mut suite = suite();
    let message = submit(1, 1, 3, &[(1, 2), (2, 1)]);
    suite.run("alice", message.clone());
    let expected = ContractError::RoundSubmitted { job: 1, round: 1 };
    assert_eq!(suite.refusal("alice", message.clone()), expected);
    suite.wait(CHALLENGE);
    suite.run("alice", settle(1, 1));
    assert_eq!(suite.refusal("alice", message), expected);
}

#[test]
fn the_shares_are_what_was_completed() {
    let mut suite = suite();
    let wrong = |node, expected, found| ContractError::WrongCount { node, expected, found };
    for (leaf_count, shares, expected) in [
        (4, vec![(1, 3), (2, 1)], wrong(1, 2, 3)),
        (2, vec![(1, 1), (2, 1)], wrong(1, 2, 1)),
        (4, vec![(1, 2), (2, 1), (9, 1)], wrong(9, 0, 1)),
        (3, vec![(1, 2), (2, 1), (9, 0)], wrong(9, 0, 0)),
        (4, vec![(1, 2), (1, 2)], ContractError::NodeListedTwice { node: 1 }),
        (2, vec![(1, 2)], ContractError::NodesMissing { sum: 2, completed: 3 }),
        (2, vec![(1, 2), (2, 1)], ContractError::WrongLeafCount { sum: 3, leaf_count: 2 }),
        (0, vec![(1, 2), (2, 1)], ContractError::Zero { field: "leaf_count" }),
    ] {
        assert_eq!(suite.refusal("alice", submit(1, 1, leaf_count, &shares)), expected);
    }
    // What was completed in one round does not count in another.
    assert_eq!(suite.refusal("alice", submit(1, 2, 3, &[(1, 2), (2, 1)])), wrong(1, 0, 2));
}

#[test]
fn a_root_has_32_bytes() {
    let mut suite = suite();
    for found in [0, 31, 33] {
        let mut message = submit(1, 1, 3, &[(1, 2), (2, 1)]);
        if let ExecuteMsg::SubmitRound { root, .. } = &mut message {
            *root = Binary::new(vec![7; found]);
        }
        assert_eq!(
            suite.refusal("alice", message),
            ContractError::BytesLength { field: "root", found, least: 32, most: 32 }
        );
    }
}

#[test]
fn a_round_names_its_content() {
    let mut suite = suite();
    for field in ["checkpoint", "evidence"] {
        let mut message = submit(1, 1, 3, &[(1, 2), (2, 1)]);
        if let ExecuteMsg::SubmitRound { checkpoint, evidence, .. } = &mut message {
            if field == "checkpoint" { checkpoint } else { evidence }.clear();
        }
        let expected = ContractError::TextLength { field, length: 0, max: 256 };
        assert_eq!(suite.refusal("alice", message), expected);
    }
}

#[test]
fn the_basis_points_are_the_whole() {
    let mut suite = suite();
    for (shares, sum) in [
        (vec![(1, 2, 5000), (2, 1, 4999)], 9999),
        (vec![(1, 2, 5001), (2, 1, 5000)], 10_001),
        (vec![(1, 2, u32::MAX), (2, 1, 10_001)], 4_294_977_296),
    ] {
        let expected = ContractError::WrongBps { sum, expected: 10_000 };
        assert_eq!(suite.refusal("alice", submit_shares(1, 1, 3, &shares)), expected);
    }
}

#[test]
fn the_pool_is_divided_by_basis_points() {
    for (bob, carol, credits) in
        [(10_000, 0, (15, 0)), (5000, 5000, (8, 7)), (3333, 6667, (5, 10)), (1, 9999, (0, 15))]
    {
        let mut suite = suite();
        suite.run("alice", submit_shares(1, 1, 3, &[(2, 1, carol), (1, 2, bob)]));
        suite.wait(CHALLENGE);
        let response = suite.run("dave", settle(1, 1));
        assert_eq!((suite.credit("bob"), suite.credit("carol")), credits);
        let events = response.events.iter().filter(|event| event.ty == "wasm-credit");
        assert_eq!(events.count(), [bob, carol].iter().filter(|bps| **bps > 1).count());
    }
}

#[test]
fn a_round_takes_no_result_after_its_submission() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(3, 2, 1)]));
    suite.run("alice", submit(1, 1, 3, &[(1, 2), (2, 1)]));
    suite.wait(CHALLENGE);
    suite.run("dave", settle(1, 1));
    // The lease that is still active keeps its place and its reserve until it ends.
    assert_eq!((suite.node(2).used, suite.job(1).reserved.u128()), (1, 5));
    let expected = ContractError::RoundSubmitted { job: 1, round: 1 };
    assert_eq!(suite.refusal("alice", complete(1, 1, &[(3, 1)])), expected);
    suite.run("carol", release(1, 1, &[(3, 1)]));
    assert_eq!((suite.node(2).used, suite.job(1).reserved.u128()), (0, 0));
}

#[test]
fn a_round_has_results_of_as_many_nodes_as_can_be_listed() {
    let mut narrow = config();
    narrow.max_batch = Some(2);
    let mut suite = Suite::with(&narrow).unwrap();
    for name in ["bob", "carol", "dave"] {
        suite.pay(name, register(1), MIN_STAKE);
    }
    suite.pay("alice", create_job("k", 3, 1, 1), 4);
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 2, 1)]));
    suite.run("alice", assign(1, 1, &[(2, 3, 1)]));
    suite.run("alice", complete(1, 1, &[(0, 1), (1, 1)]));
    let expected = ContractError::TooManyNodes { job: 1, round: 1, max: 2 };
    assert_eq!(suite.refusal("alice", complete(1, 1, &[(2, 1)])), expected);
    suite.run("alice", submit(1, 1, 2, &[(1, 1), (2, 1)]));
}

#[test]
fn settlement_credits_each_node_once() {
    let mut suite = suite();
    suite.run("alice", submit(1, 1, 3, &[(1, 2), (2, 1)]));
    suite.wait(CHALLENGE);
    let response = suite.run("dave", settle(1, 1));
    assert_eq!(attribute(&response, "action").unwrap(), "settle");
    assert_eq!(attribute(&response, "amount").unwrap(), "15");
    assert_eq!((suite.credit("bob"), suite.credit("carol")), (10, 5));
    let job = suite.job(1);
    assert_eq!((job.reserved.u128(), job.paid.u128()), (0, 15));
    let at = suite.now();
    assert_eq!(suite.round(1, 1).unwrap().settled_at, Some(at));

    suite.wait(CHALLENGE);
    let expected = ContractError::RoundSettled { job: 1, round: 1, at };
    assert_eq!(suite.refusal("dave", settle(1, 1)), expected);
}

#[test]
fn settlement_waits_for_the_challenge_window() {
    let mut suite = suite();
    let missing = ContractError::RoundNotSubmitted { job: 1, round: 1 };
    assert_eq!(suite.refusal("dave", settle(1, 1)), missing);
    suite.run("alice", submit(1, 1, 3, &[(1, 2), (2, 1)]));
    let from = suite.now() + CHALLENGE;
    suite.wait(CHALLENGE - 1);
    let expected = ContractError::WindowOpen { job: 1, round: 1, from, now: from - 1 };
    assert_eq!(suite.refusal("dave", settle(1, 1)), expected);
    suite.wait(1);
    suite.run("dave", settle(1, 1));
}

#[test]
fn a_whole_job_ends_with_nothing_left() {
    let mut suite = suite();
    suite.run("alice", assign(1, 1, &[(3, 2, 1)]));
    suite.run("alice", complete(1, 1, &[(3, 1)]));
    suite.run("alice", submit(1, 1, 4, &[(1, 2), (2, 2)]));
    suite.run("alice", assign(1, 2, &[(0, 1, 1), (1, 1, 1), (2, 1, 1), (3, 2, 1)]));
    suite.run("alice", complete(1, 2, &[(0, 1), (1, 1), (2, 1), (3, 1)]));
    suite.run("alice", submit(1, 2, 4, &[(2, 1), (1, 3)]));
    suite.wait(CHALLENGE);
    suite.run("dave", settle(1, 2));
    suite.run("dave", settle(1, 1));
    suite.run("alice", ExecuteMsg::CloseJob { job: 1 });
    for name in ["bob", "carol"] {
        suite.run(name, ExecuteMsg::Withdraw {});
    }
    assert_eq!(suite.credit("alice"), 0);
    assert_eq!(suite.balance(&suite.contract), 2 * MIN_STAKE);
}
