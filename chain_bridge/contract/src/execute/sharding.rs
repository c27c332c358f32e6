//! Slots of a round are leased to nodes, and given back with or without a result.

use std::collections::BTreeMap;

use cosmwasm_std::{
    DepsMut, Env, MessageInfo, OverflowError, OverflowOperation, Response, Storage,
};

use crate::checks;
use crate::error::{AssignRefusal, ContractError};
use crate::fleet::Fleet;
use crate::lease;
use crate::msg::{AssignItem, LeaseItem};
use crate::state::{
    Config, Lease, LeaseState, Node, NodeStatus, CONFIG, DONE, LEASES, ROUNDS, TALLIES,
};

pub fn assign_batch(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    job_id: u64,
    round: u32,
    items: Vec<AssignItem>,
) -> Result<Response, ContractError> {
    let config = CONFIG.load(deps.storage)?;
    checks::batch(&items, &config)?;
    let job = checks::open_job_of_owner(deps.storage, job_id, &info.sender)?;
    checks::range("round", round, job.rounds)?;
    not_submitted(deps.storage, job_id, round)?;
    let now = env.block.time.seconds();
    let until =
        now.checked_add(job.lease_seconds).ok_or(OverflowError::new(OverflowOperation::Add))?;

    let mut fleet = Fleet::default();
    for item in &items {
        checks::text("task", &item.task)?;
        let refuse = |reason| ContractError::Assign { slot: item.slot, node: item.node, reason };
        if item.slot > job.shards {
            return Err(refuse(AssignRefusal::SlotOutOfRange { last: job.shards }));
        }
        let key = (job_id, round, item.slot);
        let previous = LEASES.may_load(deps.storage, key)?;
        let expected = previous.as_ref().map_or(0, |lease| lease.attempt) + 1;
        if let Some(previous) = previous {
            let holder = fleet.node(deps.storage, previous.node)?;
            check_slot(&previous, holder, now, &config).map_err(refuse)?;
            if previous.state == LeaseState::Active {
                lease::end(deps.storage, &mut fleet, key, previous, LeaseState::Expired)?;
            }
        }
        if item.attempt != expected {
            return Err(refuse(AssignRefusal::WrongAttempt { expected, found: item.attempt }));
        }
        let node = match fleet.node_mut(deps.storage, item.node) {
            Err(ContractError::NodeNotFound { .. }) => {
                Err(refuse(AssignRefusal::NodeNotRegistered))
            }
            found => found,
        }?;
        check_node(node, now, &config).map_err(refuse)?;
        let lease = Lease {
            node: item.node,
            attempt: item.attempt,
            until,
            task: item.task.clone(),
            state: LeaseState::Active,
        };
        lease::begin(deps.storage, node, key, &lease)?;
    }
    fleet.save(deps.storage)?;
    Ok(batch_response("assign_batch", job_id, round, items.len())
        .add_attribute("until", until.to_string()))
}

/// Whether a slot that was leased before is free again.
fn check_slot(
    previous: &Lease,
    holder: &Node,
    now: u64,
    config: &Config,
) -> Result<(), AssignRefusal> {
    if previous.state == LeaseState::Completed {
        return Err(AssignRefusal::Completed);
    }
    if lease::is_live(previous, holder, now, config.heartbeat_seconds) {
        return Err(AssignRefusal::AlreadyAssigned {
            holder: previous.node,
            until: previous.until,
        });
    }
    Ok(())
}

/// Whether a node can take one more lease.
fn check_node(node: &Node, now: u64, config: &Config) -> Result<(), AssignRefusal> {
    if node.reputation == 0 {
        return Err(AssignRefusal::NoReputation);
    }
    if node.status != NodeStatus::Active {
        return Err(AssignRefusal::NodeNotActive { status: node.status });
    }
    if !node.is_heard_of(now, config.heartbeat_seconds) {
        return Err(AssignRefusal::StaleHeartbeat {
            last_seen: node.last_seen,
            heartbeat_seconds: config.heartbeat_seconds,
            now,
        });
    }
    if node.used >= node.capacity {
        return Err(AssignRefusal::NoCapacity { used: node.used, capacity: node.capacity });
    }
    Ok(())
}

/// A lease past its deadline may still be completed while nobody else has taken its slot.
pub fn complete_batch(
    deps: DepsMut,
    info: MessageInfo,
    job_id: u64,
    round: u32,
    items: Vec<LeaseItem>,
) -> Result<Response, ContractError> {
    let config = CONFIG.load(deps.storage)?;
    checks::batch(&items, &config)?;
    checks::open_job_of_owner(deps.storage, job_id, &info.sender)?;
    not_submitted(deps.storage, job_id, round)?;

    let mut fleet = Fleet::default();
    let mut done: BTreeMap<u32, u32> = BTreeMap::new();
    for item in &items {
        let key = (job_id, round, item.slot);
        let found = lease::active(deps.storage, key, item.attempt)?;
        *done.entry(found.node).or_default() += 1;
        lease::end(deps.storage, &mut fleet, key, found, LeaseState::Completed)?;
    }
    fleet.save(deps.storage)?;
    count(deps.storage, job_id, round, done, config.max_batch)?;
    Ok(batch_response("complete_batch", job_id, round, items.len()))
}

/// Adds completed tasks per node to what the round's submission will have to list.
fn count(
    storage: &mut dyn Storage,
    job: u64,
    round: u32,
    done: BTreeMap<u32, u32>,
    max_nodes: u32,
) -> Result<(), ContractError> {
    let mut tally = TALLIES.may_load(storage, (job, round))?.unwrap_or_default();
    for (node, added) in done {
        let before = DONE.may_load(storage, (job, round, node))?;
        if before.is_none() {
            tally.nodes += 1;
        }
        tally.completed += added;
        DONE.save(storage, (job, round, node), &(before.unwrap_or(0) + added))?;
    }
    if tally.nodes > max_nodes {
        return Err(ContractError::TooManyNodes { job, round, max: max_nodes });
    }
    TALLIES.save(storage, (job, round), &tally)?;
    Ok(())
}

pub fn release_batch(
    deps: DepsMut,
    info: MessageInfo,
    job_id: u64,
    round: u32,
    items: Vec<LeaseItem>,
) -> Result<Response, ContractError> {
    checks::batch(&items, &CONFIG.load(deps.storage)?)?;
    let job = checks::load_job(deps.storage, job_id)?;

    let mut fleet = Fleet::default();
    for item in &items {
        let key = (job_id, round, item.slot);
        let found = lease::active(deps.storage, key, item.attempt)?;
        let holder = &fleet.node(deps.storage, found.node)?.owner;
        if info.sender != job.owner && info.sender != *holder {
            return Err(ContractError::NotLeaseHolder {
                sender: info.sender,
                job: job_id,
                node: found.node,
                slot: item.slot,
            });
        }
        lease::end(deps.storage, &mut fleet, key, found, LeaseState::Released)?;
    }
    fleet.save(deps.storage)?;
    Ok(batch_response("release_batch", job_id, round, items.len()))
}

fn not_submitted(storage: &dyn Storage, job: u64, round: u32) -> Result<(), ContractError> {
    if ROUNDS.has(storage, (job, round)) {
        return Err(ContractError::RoundSubmitted { job, round });
    }
    Ok(())
}

fn batch_response(action: &str, job: u64, round: u32, items: usize) -> Response {
    Response::new()
        .add_attribute("action", action)
        .add_attribute("job_id", job.to_string())
        .add_attribute("round", round.to_string())
        .add_attribute("items", items.to_string())
}
