//! Messages with the parts that most tests do not care about filled in.

use atlas::msg::{AssignItem, ExecuteMsg, LeaseItem, Share};
use atlas::state::NodeKind;
use cosmwasm_std::{Binary, Uint128};

pub const PLAN: &str = "bafyplan";

pub fn register(capacity: u32) -> ExecuteMsg {
    register_as(NodeKind::Compute, capacity)
}

pub fn register_as(kind: NodeKind, capacity: u32) -> ExecuteMsg {
    ExecuteMsg::RegisterNode { kind, capacity, manifest: "bafymanifest".into(), public_key: None }
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
    ExecuteMsg::AssignBatch { job, round, plan: PLAN.into(), items: assign_items(items) }
}

/// Items are (slot, node, attempt).
pub fn reassign(job: u64, round: u32, items: &[(u32, u32, u32)]) -> ExecuteMsg {
    ExecuteMsg::ReassignBatch { job, round, plan: PLAN.into(), items: assign_items(items) }
}

fn assign_items(items: &[(u32, u32, u32)]) -> Vec<AssignItem> {
    items.iter().map(|&(slot, node, attempt)| AssignItem { slot, node, attempt }).collect()
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

/// Shares are (node, count); the pool is divided by count.
pub fn submit(job: u64, round: u32, leaf_count: u32, shares: &[(u32, u32)]) -> ExecuteMsg {
    let by_count = basis_points(&shares.iter().map(|(_, count)| *count).collect::<Vec<_>>());
    let shares: Vec<_> =
        shares.iter().zip(by_count).map(|(&(node, count), bps)| (node, count, bps)).collect();
    submit_shares(job, round, leaf_count, &shares)
}

/// Shares are (node, count, bps).
pub fn submit_shares(
    job: u64,
    round: u32,
    leaf_count: u32,
    shares: &[(u32, u32, u32)],
) -> ExecuteMsg {
    ExecuteMsg::SubmitRound {
        job,
        round,
        root: Binary::from([7u8; 32]),
        leaf_count,
        checkpoint: "bafycheckpoint".into(),
        evidence: "bafyevidence".into(),
        per_node: shares.iter().map(|&(node, count, bps)| Share { node, count, bps }).collect(),
    }
}

/// 10,000 in proportion to weights; the first gets what is left over.
pub fn basis_points(weights: &[u32]) -> Vec<u32> {
    let sum: u32 = weights.iter().sum();
    let mut parts: Vec<u32> = weights.iter().map(|weight| 10_000 * weight / sum.max(1)).collect();
    let rest = 10_000 - parts.iter().sum::<u32>();
    if let Some(first) = parts.first_mut() {
        *first += rest;
    }
    parts
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
        metrics: None,
    }
}
