//! Submissions that contradict the chain are void.

use atlas::msg::{ExecuteMsg, Share};
use atlas::state::ChallengeState;
use atlas::ContractError;
use serde_json::{json, Value};

use crate::messages::{assign, complete, create_job, register};
use crate::proofs::{leaf, root, CHECKPOINT};
use crate::submitted::{completed, dismiss, resolve, true_leaves, Submitted, REWARD, STAKE};
use crate::suite::{attribute, Suite, BOND, MIN_STAKE};

fn bend(leaf: &[u8], path: &str, new: Value) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(leaf).unwrap();
    *value.pointer_mut(path).unwrap() = new;
    serde_json::to_vec(&value).unwrap()
}

#[test]
fn a_leaf_that_contradicts_the_chain_voids_the_submission() {
    for (path, new) in [
        ("/checkpoint", json!("bafyother")),
        ("/contract", json!("other")),
        ("/index", json!(1)),
        ("/job_id", json!(2)),
        ("/leaf_count", json!(5)),
        ("/round", json!(2)),
        ("/record/attempt", json!(2)),
        ("/record/node_id", json!(2)),
        ("/record/slot", json!(3)),
        ("/record/slot", json!(4)),
        ("/record/slot", json!(u32::MAX)),
        ("/record/slot", json!(-1)),
        ("/record", json!({})),
        ("", json!({"any": "thing"})),
    ] {
        let suite = completed();
        let mut leaves = true_leaves(&suite);
        leaves[0] = bend(&leaves[0], path, new);
        assert_void(Submitted::of(suite, leaves));
    }
}

#[test]
fn a_leaf_that_is_no_json_voids_the_submission() {
    for bad in [vec![], b"\xff\xfe".to_vec(), b"[".repeat(5000)] {
        let suite = completed();
        let mut leaves = true_leaves(&suite);
        leaves[0] = bad;
        assert_void(Submitted::of(suite, leaves));
    }
}

fn assert_void(mut round: Submitted) {
    let message = round.message(0);
    let response = round.suite.pay("dave", message, BOND);
    assert_eq!(attribute(&response, "verdict").unwrap(), "void");
    assert_eq!(round.suite.round(1, 1), None);
    assert_eq!(round.suite.credit("dave"), BOND);
    assert_eq!(round.found(0), None);
    assert_eq!(round.suite.job(1).reserved.u128(), 4 * REWARD);
    assert_eq!(round.suite.node(1).stake.u128(), STAKE);
}

#[test]
fn what_the_chain_does_not_know_voids_nothing() {
    for (path, new) in [
        ("/record/shard", json!(null)),
        ("/record/receipt", json!({"any": ["thing", 1.5e300]})),
        ("/record/result", json!([1, -2])),
    ] {
        let suite = completed();
        let mut leaves = true_leaves(&suite);
        leaves[0] = bend(&leaves[0], path, new);
        Submitted::of(suite, leaves).challenge(0);
    }
    let suite = completed();
    let mut leaves = true_leaves(&suite);
    let text = String::from_utf8(leaves[0].clone()).unwrap();
    leaves[0] = text.replace("\"slot\":", "\"score\":1000,\"tokens\":null,\"slot\":").into();
    Submitted::of(suite, leaves).challenge(0);
}

#[test]
fn a_void_submission_ends_its_challenges_and_is_made_anew() {
    let suite = completed();
    let mut leaves = true_leaves(&suite);
    leaves[0] = bend(&leaves[0], "/record/node_id", json!(2));
    let mut round = Submitted::of(suite, leaves);
    round.challenge(1);
    round.challenge(2);
    round.suite.run("admin", resolve(2, false));
    let message = round.message(0);
    let response = round.suite.pay("bob", message, BOND);
    assert_eq!(attribute(&response, "dismissed").unwrap(), "1");
    assert_eq!((round.suite.credit("bob"), round.suite.credit("dave")), (BOND, BOND));
    let states = [round.state(1), round.state(2)];
    assert_eq!(states, [ChallengeState::Dismissed, ChallengeState::Rejected]);

    round.leaves = true_leaves(&round.suite);
    round.submit();
    assert_eq!(round.suite.challenges(1, 1), []);
    let missing = ContractError::ChallengeNotFound { job: 1, round: 1, index: 1 };
    assert_eq!(round.suite.refusal("dave", dismiss(1)), missing);
    for index in 0..4 {
        round.challenge(index);
    }
    round.suite.run("admin", resolve(1, true));
    assert_eq!(round.suite.round(1, 1).unwrap().open_challenges, 3);
}

#[test]
fn a_round_has_20_open_challenges_at_most() {
    let mut suite = Suite::new();
    suite.pay("bob", register(25), MIN_STAKE);
    suite.pay("alice", create_job("k", 25, 1, 1), 26);
    suite.run("alice", assign(1, 1, &(0..25).map(|slot| (slot, 1, 1)).collect::<Vec<_>>()));
    suite.run("alice", complete(1, 1, &(0..25).map(|slot| (slot, 1)).collect::<Vec<_>>()));
    let leases = suite.leases(1, 1);
    let mut leaves: Vec<Vec<u8>> =
        (0..).zip(&leases).map(|(index, lease)| leaf(&suite.contract, lease, index, 25)).collect();
    leaves[24] = b"not a leaf".to_vec();
    suite.run(
        "alice",
        ExecuteMsg::SubmitRound {
            job: 1,
            round: 1,
            root: root(&leaves),
            leaf_count: 25,
            checkpoint: CHECKPOINT.into(),
            evidence: "bafyevidence".into(),
            per_node: vec![Share { node: 1, count: 25, bps: 10_000 }],
        },
    );
    let mut round = Submitted { suite, leaves };
    (0..20).for_each(|index| round.challenge(index));
    let message = round.message(20);
    let expected = ContractError::TooManyChallenges { job: 1, round: 1, max: 20 };
    assert_eq!(round.suite.send("dave", &message, BOND).unwrap_err(), expected);
    round.suite.run("admin", resolve(7, false));
    round.challenge(20);
    // However many are open, what contradicts the chain ends them all.
    let message = round.message(24);
    round.suite.pay("carol", message, BOND);
    assert_eq!(round.suite.round(1, 1), None);
    assert_eq!(round.suite.credit("dave"), 20 * BOND);
}
