//! A valid form of every message and query, for others to disturb.

use serde_json::{json, Value};

const ROOT: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const NONCE: &str = "AQEBAQEBAQEBAQEBAQEBAQ==";

pub fn instantiate() -> Value {
    json!({
        "denom": "uatl", "min_stake": "10", "heartbeat_seconds": 60, "challenge_seconds": 100,
        "challenge_bond": "5", "dispute_seconds": 40, "unbonding_seconds": 150, "jail_seconds": 30,
        "abandon_seconds": 200, "audit_seconds": 20, "slash_bps": 2500, "max_batch": 25,
    })
}

/// `address` is anybody's.
pub fn executes(address: &str) -> Vec<Value> {
    let place = json!([{"slot": 0, "node": 1, "attempt": 1}, {"slot": 1, "node": 1, "attempt": 1}]);
    let again = json!([{"slot": 2, "node": 1, "attempt": 2}]);
    let lease = json!([{"slot": 2, "attempt": 1}]);
    let share = json!([{"node": 1, "count": 1, "bps": 10000}]);
    let beat = json!([{"node": 1, "at": 1571797430, "signature": ROOT}]);
    vec![
        json!({"register_node": {"kind": "compute", "capacity": 3, "manifest": "m", "public_key": null}}),
        json!({"update_node": {"capacity": 4, "manifest": "m", "public_key": ROOT}}),
        json!({"add_stake": {}}),
        json!({"withdraw_stake": {"amount": "1"}}),
        json!({"claim_stake": {}}),
        json!({"deregister_node": {}}),
        json!({"unjail": {}}),
        json!({"heartbeat": {}}),
        json!({"heartbeat_batch": {"beats": beat}}),
        json!({"create_job": {
            "key": "k", "spec": "s", "dataset": "d", "shards": 2, "rounds": 1, "reward": "1", "lease_seconds": 50,
        }}),
        json!({"top_up": {"job": 1, "key": "t"}}),
        json!({"cancel_job": {"job": 2}}),
        json!({"close_job": {"job": 2}}),
        json!({"assign_batch": {"job": 1, "round": 2, "plan": "p", "items": place}}),
        json!({"reassign_batch": {"job": 1, "round": 1, "plan": "p", "items": again}}),
        json!({"complete_batch": {"job": 1, "round": 1, "items": lease}}),
        json!({"release_batch": {"job": 1, "round": 1, "items": lease}}),
        json!({"expire_leases": {"job": 1, "round": 1, "limit": 5, "start_after_slot": 0}}),
        json!({"rollback_round": {"job": 1, "round": 1}}),
        json!({"submit_round": {
            "job": 1, "round": 1, "root": ROOT, "leaf_count": 1, "checkpoint": "c", "evidence": "e", "per_node": share,
        }}),
        json!({"challenge": {
            "job": 2, "round": 1, "index": 0, "leaf": NONCE, "proof": [ROOT], "evidence": "e",
        }}),
        json!({"resolve_challenge": {"job": 2, "round": 1, "index": 0, "upheld": true}}),
        json!({"dismiss_challenge": {"job": 2, "round": 1, "index": 0}}),
        json!({"settle": {"job": 2, "round": 1}}),
        json!({"claim_abandoned": {"job": 1, "round": 1}}),
        json!({"withdraw": {}}),
        json!({"withdraw_for": {"addresses": [address]}}),
        json!({"announce_storage": {"cids": ["c1", "c2"]}}),
        json!({"drop_storage": {"cids": ["c0"]}}),
        json!({"open_audit": {"cid": "c0", "node": 2, "nonce": NONCE, "answer_hash": ROOT}}),
        json!({"answer_audit": {"cid": "c0", "answer": ROOT}}),
        json!({"expire_audit": {"cid": "c0", "node": 2}}),
        json!({"register_model": {
            "name": "m", "version": 2, "cid": "c", "job": 1, "parent": "p", "metrics": "e",
        }}),
        json!({"promote_model": {"name": "m", "version": 1}}),
        json!({"deprecate_model": {"name": "m", "version": 1}}),
        json!({"update_config": {"change": {"challenge_seconds": 5, "slash_bps": 10, "min_stake": "1"}}}),
        json!({"pause": {"paused": true}}),
        json!({"withdraw_treasury": {"to": address, "amount": "1"}}),
        json!({"update_ownership": {"transfer_ownership": {"new_owner": address, "expiry": null}}}),
    ]
}

pub fn queries(address: &str) -> Vec<Value> {
    let round = json!({"job": 1, "round": 1, "start_after": 0, "limit": 5});
    vec![
        json!({"config": {}}),
        json!({"paused": {}}),
        json!({"totals": {}}),
        json!({"ownership": {}}),
        json!({"node": {"id": 1}}),
        json!({"node_of": {"owner": address}}),
        json!({"nodes": {"start_after": 0, "limit": 5}}),
        json!({"job": {"id": 1}}),
        json!({"job_of": {"owner": address, "key": "k"}}),
        json!({"jobs": {"start_after": 0, "limit": 5}}),
        json!({"lease": {"job": 1, "round": 1, "slot": 0}}),
        json!({"leases": round}),
        json!({"leases_of_node": {"node": 1, "start_after": [1, 1, 0], "limit": 5}}),
        json!({"round": {"job": 2, "round": 1}}),
        json!({"rounds": {"job": 2, "start_after": 0, "limit": 5}}),
        json!({"challenge": {"job": 2, "round": 1, "index": 0}}),
        json!({"challenges": round}),
        json!({"credit": {"address": address}}),
        json!({"holders": {"cid": "c0", "start_after": 0, "limit": 5}}),
        json!({"holdings": {"node": 2, "start_after": "b", "limit": 5}}),
        json!({"model": {"name": "m", "version": 1}}),
        json!({"models": {"name": "m", "start_after": ["m", 0], "limit": 5}}),
        json!({"current_model": {"name": "m"}}),
    ]
}
