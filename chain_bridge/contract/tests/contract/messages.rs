//! Messages with the parts that most tests do not care about filled in.

use atlas::msg::{AssignItem, ExecuteMsg, LeaseItem};
use atlas::state::{NodeKind, Share};
use cosmwasm_std::{Binary, Uint128};

pub fn register(capacity: u32) -> ExecuteMsg {
    ExecuteMsg::RegisterNode { kind: NodeKind::Compute, capacity, manifest: "bafymanifest".into() }
}

pub fn create_job(key: &str, shards: u32, rounds: u32, reward: u128) -> ExecuteMsg {
    ExecuteMsg::CreateJob {
        key: key.into(),
        spec: "bafyspec".into(),
        dataset: "bafydataset".into(),
        shards,
        rounds,
        reward: Uint128::new(reward),
        lease_seconds: 50,
    }
}

/// Items are (slot, node, attempt).
pub fn assign(job: u64, round: u32, items: &[(u32, u32, u32)]) -> ExecuteMsg {
    let items = items
        .iter()
        .map(|&(slot, node, attempt)| AssignItem { slot, node, attempt, task: task(slot, attempt) })
        .collect();
    ExecuteMsg::AssignBatch { job, round, items }
}

pub fn task(slot: u32, attempt: u32) -> String {
    format!("bafytask-{slot}-{attempt}")
}

/// Items are (slot, attempt).
pub fn complete(job: u64, round: u32, items: &[(u32, u32)]) -> ExecuteMsg {
    ExecuteMsg::CompleteBatch { job, round, items: lease_items(items) }
}

/// Items are (slot, attempt).
pub fn release(job: u64, round: u32, items: &[(u32, u32)]) -> ExecuteMsg {
    ExecuteMsg::ReleaseBatch { job, round, items: lease_items(items) }
}

fn lease_items(items: &[(u32, u32)]) -> Vec<LeaseItem> {
    items.iter().map(|&(slot, attempt)| LeaseItem { slot, attempt }).collect()
}

pub fn expire(job: u64, round: u32, limit: u32) -> ExecuteMsg {
    ExecuteMsg::ExpireLeases { job, round, limit, start_after_slot: None }
}

/// Shares are (node, count).
pub fn submit(job: u64, round: u32, leaf_count: u32, shares: &[(u32, u32)]) -> ExecuteMsg {
    ExecuteMsg::SubmitRound {
        job,
        round,
        root: Binary::from([7u8; 32]),
        leaf_count,
        checkpoint: "bafycheckpoint".into(),
        evidence: "bafyevidence".into(),
        per_node: shares.iter().map(|&(node, count)| Share { node, count }).collect(),
    }
}

pub fn settle(job: u64, round: u32) -> ExecuteMsg {
    ExecuteMsg::Settle { job, round }
}

pub fn register_model(name: &str, version: u32, job: u64) -> ExecuteMsg {
    ExecuteMsg::RegisterModel {
        name: name.into(),
        version,
        cid: "bafymodel".into(),
        job,
        parent: None,
    }
}
