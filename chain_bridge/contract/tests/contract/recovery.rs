//! claim_abandoned.

use atlas::msg::ExecuteMsg;
use atlas::ContractError;

use crate::messages::{assign, complete, create_job, expire, register, release, submit};
use crate::suite::{attribute, Suite, ABANDON, MIN_STAKE};

/// alice owns job 1 (3 shards, reward 5); bob's node 1 completed slots 0 and 1, and carol's node 2 slot 2.
fn suite() -> Suite {
    let mut suite = Suite::new();
    suite.pay("bob", register(3), MIN_STAKE);
    suite.pay("carol", register(3), MIN_STAKE);
    suite.pay("dave", register(3), MIN_STAKE);
    suite.pay("alice", create_job("k", 3, 1, 5), 20);
    suite.run("alice", assign(1, 1, &[(0, 1, 1), (1, 1, 1), (2, 2, 1), (3, 2, 1)]));
    suite.run("alice", complete(1, 1, &[(0, 1)]));
    suite.wait(10);
    suite.run("alice", complete(1, 1, &[(1, 1), (2, 1)]));
    suite
}

fn claim() -> ExecuteMsg {
    ExecuteMsg::ClaimAbandoned { job: 1, round: 1 }
}

#[test]
fn a_node_is_paid_for_a_round_that_was_never_submitted() {
    let mut suite = suite();
    suite.wait(ABANDON + 1);
    let response = suite.run("bob", claim());
    assert_eq!(attribute(&response, "amount").unwrap(), "10");
    assert!(response.events.iter().any(|event| event.ty == "wasm-credit"));
    assert_eq!(suite.credit("bob"), 10);
    let job = suite.job(1);
    assert_eq!((job.reserved.u128(), job.paid.u128()), (10, 10));

    let nothing = |node| ContractError::NothingToClaim { node, job: 1, round: 1 };
    assert_eq!(suite.refusal("bob", claim()), nothing(1));
    assert_eq!(suite.refusal("dave", claim()), nothing(3));
    let owner = suite.address("alice");
    assert_eq!(suite.refusal("alice", claim()), ContractError::NoNode { owner });
    suite.run("carol", claim());
    assert_eq!(suite.credit("carol"), 5);
}

#[test]
fn nobody_claims_before_the_time_after_the_last_completion() {
    let mut suite = suite();
    let after = suite.now() + ABANDON;
    suite.wait(ABANDON);
    let early = ContractError::NotAbandoned { job: 1, round: 1, after, now: after };
    assert_eq!(suite.refusal("bob", claim()), early);
    suite.run("alice", complete(1, 1, &[(3, 1)]));
    suite.wait(1);
    let early =
        ContractError::NotAbandoned { job: 1, round: 1, after: after + ABANDON, now: after + 1 };
    assert_eq!(suite.refusal("bob", claim()), early);
}

#[test]
fn a_submitted_round_is_not_abandoned() {
    let mut suite = suite();
    suite.run("alice", submit(1, 1, 3, &[(1, 2), (2, 1)]));
    suite.wait(ABANDON + 1);
    let expected = ContractError::RoundSubmitted { job: 1, round: 1 };
    assert_eq!(suite.refusal("bob", claim()), expected);
    // It is when the submission is taken back.
    suite.run("alice", ExecuteMsg::RollbackRound { job: 1, round: 1 });
    suite.run("bob", claim());
}

#[test]
fn an_abandoned_round_is_not_submitted_or_leased_any_more() {
    let mut suite = suite();
    suite.wait(ABANDON + 1);
    suite.run("bob", claim());
    let expected = ContractError::RoundAbandoned { job: 1, round: 1 };
    assert_eq!(suite.refusal("alice", submit(1, 1, 3, &[(1, 2), (2, 1)])), expected);
    suite.run("carol", release(1, 1, &[(3, 1)]));
    assert_eq!(suite.refusal("alice", assign(1, 1, &[(3, 2, 2)])), expected);
}

#[test]
fn what_is_completed_later_is_claimed_later() {
    let mut suite = suite();
    suite.wait(ABANDON + 1);
    suite.run("carol", claim());
    suite.run("alice", complete(1, 1, &[(3, 1)]));
    suite.wait(ABANDON + 1);
    suite.run("carol", claim());
    suite.run("bob", claim());
    assert_eq!((suite.credit("bob"), suite.credit("carol")), (10, 10));
    suite.run("alice", ExecuteMsg::CloseJob { job: 1 });
    assert_eq!(suite.credit("alice"), 0);
}

#[test]
fn a_cancelled_job_pays_what_it_abandoned() {
    let mut suite = suite();
    suite.run("alice", ExecuteMsg::CancelJob { job: 1 });
    suite.wait(ABANDON + 1);
    suite.run("bob", claim());
    suite.run("carol", claim());
    suite.run("dave", expire(1, 1, 9));
    suite.run("alice", ExecuteMsg::CloseJob { job: 1 });
    assert_eq!(suite.credit("alice"), 5);
}
