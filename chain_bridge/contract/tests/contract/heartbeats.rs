//! heartbeat_batch.

use atlas::msg::{ExecuteMsg, SignedBeat};
use atlas::state::NodeKind;
use atlas::ContractError;
use cosmwasm_std::Binary;
use k256::ecdsa::signature::Signer;
use k256::ecdsa::{Signature, SigningKey};

use crate::suite::{attribute, Suite, HEARTBEAT, MAX_BATCH, MIN_STAKE};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

fn public(key: &SigningKey) -> Binary {
    key.verifying_key().to_encoded_point(true).as_bytes().into()
}

fn register(public_key: Option<Binary>) -> ExecuteMsg {
    ExecuteMsg::RegisterNode {
        kind: NodeKind::Compute,
        capacity: 3,
        manifest: "bafymanifest".into(),
        public_key,
    }
}

/// bob has node 1, carol node 2, each with a key, and dave node 3 without one.
fn suite() -> Suite {
    let mut suite = Suite::new();
    suite.pay("bob", register(Some(public(&key(1)))), MIN_STAKE);
    suite.pay("carol", register(Some(public(&key(2)))), MIN_STAKE);
    suite.pay("dave", register(None), MIN_STAKE);
    suite.wait(10);
    suite
}

fn sign(key: &SigningKey, text: &str) -> Binary {
    let signature: Signature = key.sign(text.as_bytes());
    signature.to_bytes().as_slice().into()
}

fn beat(suite: &Suite, node: u32, at: u64) -> SignedBeat {
    let text = format!("atlas-heartbeat:{}:{node}:{at}", suite.contract);
    SignedBeat { node, at, signature: sign(&key(node as u8), &text) }
}

fn bring(beats: Vec<SignedBeat>) -> ExecuteMsg {
    ExecuteMsg::HeartbeatBatch { beats }
}

#[test]
fn anybody_brings_heartbeats() {
    let mut suite = suite();
    let now = suite.now();
    let beats = vec![beat(&suite, 1, now), beat(&suite, 2, now - 3)];
    let response = suite.run("alice", bring(beats));
    assert_eq!(attribute(&response, "items").unwrap(), "2");
    assert_eq!((suite.node(1).last_seen, suite.node(2).last_seen), (now, now - 3));
}

#[test]
fn a_heartbeat_counts_once_and_never_backwards() {
    let mut suite = suite();
    let at = suite.now();
    let first = beat(&suite, 1, at);
    suite.run("alice", bring(vec![first.clone()]));
    suite.wait(5);
    let stale = |at, last_seen| ContractError::StaleBeat { node: 1, at, last_seen };
    assert_eq!(suite.refusal("alice", bring(vec![first.clone()])), stale(at, at));
    let older = beat(&suite, 1, at - 1);
    assert_eq!(suite.refusal("alice", bring(vec![older])), stale(at - 1, at));
    let newer = beat(&suite, 1, at + 1);
    let twice = bring(vec![newer.clone(), newer]);
    assert_eq!(suite.refusal("alice", twice), stale(at + 1, at + 1));
}

#[test]
fn a_clock_may_be_ahead_a_little_and_gains_nothing() {
    let mut suite = suite();
    let now = suite.now();
    let latest = now + HEARTBEAT;
    let future = beat(&suite, 1, latest + 1);
    let expected = ContractError::FutureBeat { node: 1, at: latest + 1, latest };
    assert_eq!(suite.refusal("alice", bring(vec![future])), expected);
    let ahead = beat(&suite, 1, latest);
    suite.run("alice", bring(vec![ahead]));
    assert_eq!(suite.node(1).last_seen, now);
}

#[test]
fn only_the_key_of_the_node_speaks_for_it() {
    let mut suite = suite();
    let at = suite.now();
    let bad = ContractError::BadSignature { node: 1, at };
    let contract = suite.contract.clone();
    let good = beat(&suite, 2, at);
    for signature in [
        sign(&key(2), &format!("atlas-heartbeat:{contract}:1:{at}")),
        sign(&key(1), &format!("atlas-heartbeat:{contract}:2:{at}")),
        sign(&key(1), &format!("atlas-heartbeat:{contract}:1:{}", at + 1)),
        sign(&key(1), &format!("atlas-heartbeat:{}:1:{at}", suite.address("bob"))),
        Binary::new(vec![]),
        Binary::new(vec![0; 64]),
        Binary::new(vec![255; 65]),
    ] {
        let forged = SignedBeat { node: 1, at, signature };
        assert_eq!(suite.refusal("alice", bring(vec![good.clone(), forged])), bad);
    }
    let keyless = beat(&suite, 3, at);
    let expected = ContractError::NoPublicKey { node: 3 };
    assert_eq!(suite.refusal("alice", bring(vec![keyless])), expected);
    let unknown = beat(&suite, 4, at);
    let expected = ContractError::NodeNotFound { node: 4 };
    assert_eq!(suite.refusal("alice", bring(vec![unknown])), expected);
}

#[test]
fn a_batch_of_heartbeats_has_1_to_max() {
    let mut suite = suite();
    let at = suite.now();
    let many = vec![beat(&suite, 1, at); MAX_BATCH as usize + 1];
    for beats in [vec![], many] {
        let expected = ContractError::BatchSize { found: beats.len(), max: MAX_BATCH };
        assert_eq!(suite.refusal("alice", bring(beats)), expected);
    }
}

#[test]
fn a_new_key_replaces_the_old() {
    let mut suite = suite();
    let at = suite.now();
    let public_key = Some(public(&key(9)));
    suite.run("bob", ExecuteMsg::UpdateNode { capacity: None, manifest: None, public_key });
    assert_eq!(suite.node(1).public_key, Some(public(&key(9))));
    let old = beat(&suite, 1, at);
    let expected = ContractError::BadSignature { node: 1, at };
    assert_eq!(suite.refusal("alice", bring(vec![old])), expected);
    let text = format!("atlas-heartbeat:{}:1:{at}", suite.contract);
    suite.run("alice", bring(vec![SignedBeat { node: 1, at, signature: sign(&key(9), &text) }]));
}

#[test]
fn a_public_key_is_33_bytes_of_a_compressed_point() {
    let mut suite = suite();
    for bytes in [vec![], vec![2; 32], vec![2; 34], vec![4; 33], vec![4; 65]] {
        let found = bytes.len();
        let key = Some(Binary::new(bytes));
        let update =
            ExecuteMsg::UpdateNode { capacity: None, manifest: None, public_key: key.clone() };
        let expected = ContractError::BadPublicKey { found };
        assert_eq!(suite.refusal("bob", update), expected);
        assert_eq!(suite.send("alice", &register(key), MIN_STAKE).unwrap_err(), expected);
    }
    // A point that is not on the curve is found out when it is used.
    suite.pay("alice", register(Some(Binary::new([vec![2], vec![255; 32]].concat()))), MIN_STAKE);
    suite.wait(1);
    let at = suite.now();
    let expected = ContractError::BadSignature { node: 4, at };
    let off_curve = beat(&suite, 4, at);
    assert_eq!(suite.refusal("bob", bring(vec![off_curve])), expected);
}

#[test]
fn a_retired_node_is_silent() {
    let mut suite = suite();
    suite.run("bob", ExecuteMsg::DeregisterNode {});
    let at = suite.now();
    let expected = ContractError::NodeRetired { node: 1 };
    let late = beat(&suite, 1, at);
    assert_eq!(suite.refusal("alice", bring(vec![late])), expected);
    assert_eq!(suite.refusal("bob", ExecuteMsg::Heartbeat {}), expected);
}
