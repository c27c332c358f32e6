//! Slots of a round are leased to nodes, and given back with or without a result.

use cosmwasm_std::{
    DepsMut, Env, MessageInfo, OverflowError, OverflowOperation, Response, Storage,
};

use crate::checks;
use crate::error::{AssignRefusal, ContractError};
use crate::lease::Leases;
use crate::msg::{AssignItem, LeaseItem};
use crate::state::{Batch, Config, Lease, LeaseState, NodeKind, NodeStatus, CONFIG};

/// What the owner of a job wants leased.
pub struct Assignment {
    pub job: u64,
    pub round: u32,
    pub plan: String,
    pub items: Vec<AssignItem>,
    /// Whether slots that are leased change hands.
    pub again: bool,
}

pub fn assign_batch(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    wanted: Assignment,
) -> Result<Response, ContractError> {
    let Assignment { job, round, plan, items, again } = wanted;
    let config = CONFIG.load(deps.storage)?;
    checks::batch(&items, &config)?;
    checks::text("plan", &plan)?;
    let mut leases = Leases::load(deps.storage, &env, &config, job, round)?;
    checks::job_owner(&leases.job, job, &info.sender)?;
    checks::open(&leases.job, job)?;
    checks::range("round", round, leases.job.rounds)?;
    checks::not_submitted(deps.storage, job, round)?;
    if leases.progress.claimed {
        return Err(ContractError::RoundAbandoned { job, round });
    }

    let until = leases
        .now
        .checked_add(leases.job.lease_seconds)
        .ok_or(OverflowError::new(OverflowOperation::Add))?;
    let response = batch_response(if again { "reassign_batch" } else { "assign_batch" }, &leases)
        .add_attribute("items", items.len().to_string())
        .add_attribute("plan", &plan)
        .add_attribute("until", until.to_string());
    let batch = leases.begin_batch(deps.storage, Batch { plan, until })?;
    for AssignItem { slot, node, attempt } in items {
        let refuse = |reason| ContractError::Assign { slot, node, reason };
        let last = leases.job.shards;
        if slot > last {
            return Err(refuse(AssignRefusal::SlotOutOfRange { last }));
        }
        let previous = leases.find(deps.storage, slot)?;
        if let Some(previous) = previous {
            let live = leases.is_live(deps.storage, &previous)?;
            let until = leases.batch(deps.storage, previous.batch)?.until;
            check_previous(&previous, live && !again, until).map_err(refuse)?;
            check_attempt(previous.attempt, attempt).map_err(refuse)?;
            if previous.state == LeaseState::Active {
                let outcome = if live { LeaseState::Released } else { LeaseState::Expired };
                leases.end(deps.storage, slot, previous, outcome)?;
            }
        } else if again {
            return Err(refuse(AssignRefusal::NeverAssigned));
        } else {
            check_attempt(0, attempt).map_err(refuse)?;
        }
        check_node(&mut leases, deps.storage, node, &config)?.map_err(refuse)?;
        let lease = Lease { node, attempt, batch, state: LeaseState::Active };
        leases.begin(deps.storage, slot, lease)?;
    }
    leases.save(deps.storage)?;
    Ok(response)
}

/// Whether a slot that was leased before may be leased again.
fn check_previous(previous: &Lease, is_taken: bool, until: u64) -> Result<(), AssignRefusal> {
    if previous.state == LeaseState::Completed {
        return Err(AssignRefusal::Completed);
    }
    if is_taken {
        return Err(AssignRefusal::AlreadyAssigned { holder: previous.node, until });
    }
    Ok(())
}

fn check_attempt(previous: u32, found: u32) -> Result<(), AssignRefusal> {
    let expected = previous.saturating_add(1);
    if found != expected {
        return Err(AssignRefusal::WrongAttempt { expected, found });
    }
    Ok(())
}

/// Whether a node can take one more lease.
fn check_node(
    leases: &mut Leases,
    storage: &dyn Storage,
    id: u32,
    config: &Config,
) -> Result<Result<(), AssignRefusal>, ContractError> {
    let now = leases.now;
    let standing = match leases.fleet.standing(storage, id) {
        Err(ContractError::NodeNotFound { .. }) => {
            return Ok(Err(AssignRefusal::NodeNotRegistered))
        }
        found => found?.clone(),
    };
    let kind = leases.fleet.node(storage, id)?.kind;
    let is_heard_of = leases.fleet.is_heard_of(storage, id)?;
    Ok(if kind != NodeKind::Compute {
        Err(AssignRefusal::WrongKind { kind })
    } else if standing.reputation == 0 {
        Err(AssignRefusal::NoReputation)
    } else if standing.status != NodeStatus::Active {
        Err(AssignRefusal::NodeNotActive { status: standing.status })
    } else if !is_heard_of {
        Err(AssignRefusal::StaleHeartbeat {
            last_seen: standing.last_seen,
            heartbeat_seconds: config.heartbeat_seconds,
            now,
        })
    } else if standing.used >= standing.capacity {
        Err(AssignRefusal::NoCapacity { used: standing.used, capacity: standing.capacity })
    } else {
        Ok(())
    })
}

/// A lease past its deadline may still be completed while nobody else has taken its slot.
pub fn complete_batch(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    job: u64,
    round: u32,
    items: Vec<LeaseItem>,
) -> Result<Response, ContractError> {
    let config = CONFIG.load(deps.storage)?;
    checks::batch(&items, &config)?;
    let mut leases = Leases::load(deps.storage, &env, &config, job, round)?;
    checks::job_owner(&leases.job, job, &info.sender)?;
    checks::not_closed(&leases.job, job)?;
    checks::not_submitted(deps.storage, job, round)?;
    for &LeaseItem { slot, attempt } in &items {
        let lease = leases.active(deps.storage, slot, attempt)?;
        leases.end(deps.storage, slot, lease, LeaseState::Completed)?;
    }
    if leases.progress.nodes > config.max_batch {
        return Err(ContractError::TooManyNodes { job, round, max: config.max_batch });
    }
    let response = batch_response("complete_batch", &leases)
        .add_attribute("items", items.len().to_string())
        .add_attribute("completed", leases.progress.completed.to_string());
    leases.save(deps.storage)?;
    Ok(response)
}

pub fn release_batch(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    job: u64,
    round: u32,
    items: Vec<LeaseItem>,
) -> Result<Response, ContractError> {
    let config = CONFIG.load(deps.storage)?;
    checks::batch(&items, &config)?;
    let mut leases = Leases::load(deps.storage, &env, &config, job, round)?;
    for &LeaseItem { slot, attempt } in &items {
        let lease = leases.active(deps.storage, slot, attempt)?;
        let node = lease.node;
        if info.sender != leases.job.owner
            && info.sender != leases.fleet.node(deps.storage, node)?.owner
        {
            return Err(ContractError::NotLeaseHolder { sender: info.sender, job, node, slot });
        }
        leases.end(deps.storage, slot, lease, LeaseState::Released)?;
    }
    let response =
        batch_response("release_batch", &leases).add_attribute("items", items.len().to_string());
    leases.save(deps.storage)?;
    Ok(response)
}

fn batch_response(action: &str, leases: &Leases) -> Response {
    Response::new()
        .add_attribute("action", action)
        .add_attribute("job_id", leases.id.to_string())
        .add_attribute("round", leases.round.to_string())
}
