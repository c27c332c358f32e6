//! What anybody may ask. Lists come in pages, sorted by key.

use cosmwasm_std::{Deps, Env, Order, StdResult, Uint128};
use cw_storage_plus::Bound;

use crate::error::ContractError;
use crate::lease;
use crate::msg::LeaseAnswer;
use crate::state::{
    Job, Lease, LeaseKey, Model, Node, CONFIG, CREDIT, JOBS, JOB_OF, LEASES, LEASES_OF, MODELS,
    NODES, NODE_OF,
};

const DEFAULT_LIMIT: u32 = 30;
const MAX_LIMIT: u32 = 100;

fn page(limit: Option<u32>) -> usize {
    limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT) as usize
}

pub fn node(deps: Deps, id: u32) -> Result<Node, ContractError> {
    NODES.may_load(deps.storage, id)?.ok_or(ContractError::NodeNotFound { node: id })
}

pub fn node_of(deps: Deps, owner: &str) -> StdResult<Option<Node>> {
    let owner = deps.api.addr_validate(owner)?;
    match NODE_OF.may_load(deps.storage, &owner)? {
        Some(id) => NODES.may_load(deps.storage, id),
        None => Ok(None),
    }
}

pub fn nodes(deps: Deps, start_after: Option<u32>, limit: Option<u32>) -> StdResult<Vec<Node>> {
    NODES
        .range(deps.storage, start_after.map(Bound::exclusive), None, Order::Ascending)
        .take(page(limit))
        .map(|entry| entry.map(|(_, node)| node))
        .collect()
}

pub fn job_of(deps: Deps, owner: &str, key: &str) -> StdResult<Option<Job>> {
    let owner = deps.api.addr_validate(owner)?;
    match JOB_OF.may_load(deps.storage, (&owner, key))? {
        Some(id) => JOBS.may_load(deps.storage, id),
        None => Ok(None),
    }
}

pub fn jobs(deps: Deps, start_after: Option<u64>, limit: Option<u32>) -> StdResult<Vec<Job>> {
    JOBS.range(deps.storage, start_after.map(Bound::exclusive), None, Order::Ascending)
        .take(page(limit))
        .map(|entry| entry.map(|(_, job)| job))
        .collect()
}

pub fn lease(deps: Deps, env: Env, key: LeaseKey) -> StdResult<Option<LeaseAnswer>> {
    LEASES.may_load(deps.storage, key)?.map(|found| answer(deps, &env, key, found)).transpose()
}

pub fn leases(
    deps: Deps,
    env: Env,
    job: u64,
    round: u32,
    start_after: Option<u32>,
    limit: Option<u32>,
) -> StdResult<Vec<LeaseAnswer>> {
    LEASES
        .prefix((job, round))
        .range(deps.storage, start_after.map(Bound::exclusive), None, Order::Ascending)
        .take(page(limit))
        .map(|entry| {
            let (slot, found) = entry?;
            answer(deps, &env, (job, round, slot), found)
        })
        .collect()
}

pub fn leases_of_node(
    deps: Deps,
    env: Env,
    node: u32,
    start_after: Option<LeaseKey>,
    limit: Option<u32>,
) -> StdResult<Vec<LeaseAnswer>> {
    LEASES_OF
        .prefix(node)
        .keys(deps.storage, start_after.map(Bound::exclusive), None, Order::Ascending)
        .take(page(limit))
        .map(|key| {
            let key = key?;
            answer(deps, &env, key, LEASES.load(deps.storage, key)?)
        })
        .collect()
}

fn answer(deps: Deps, env: &Env, key: LeaseKey, found: Lease) -> StdResult<LeaseAnswer> {
    let holder = NODES.load(deps.storage, found.node)?;
    let heartbeat_seconds = CONFIG.load(deps.storage)?.heartbeat_seconds;
    let live = lease::is_live(&found, &holder, env.block.time.seconds(), heartbeat_seconds);
    let (job, round, slot) = key;
    Ok(LeaseAnswer {
        job,
        round,
        slot,
        node: found.node,
        attempt: found.attempt,
        until: found.until,
        task: found.task,
        state: found.state,
        live,
    })
}

pub fn credit(deps: Deps, address: &str) -> StdResult<Uint128> {
    let address = deps.api.addr_validate(address)?;
    Ok(CREDIT.may_load(deps.storage, &address)?.unwrap_or_default())
}

pub fn model(deps: Deps, name: String, version: u32) -> Result<Model, ContractError> {
    MODELS
        .may_load(deps.storage, (&name, version))?
        .ok_or(ContractError::ModelNotFound { name, version })
}

pub fn models(
    deps: Deps,
    name: Option<String>,
    start_after: Option<(String, u32)>,
    limit: Option<u32>,
) -> StdResult<Vec<Model>> {
    match name {
        Some(name) => MODELS
            .prefix(&name)
            .range(
                deps.storage,
                start_after.map(|(_, version)| Bound::exclusive(version)),
                None,
                Order::Ascending,
            )
            .take(page(limit))
            .map(|entry| entry.map(|(_, model)| model))
            .collect(),
        None => MODELS
            .range(
                deps.storage,
                start_after
                    .as_ref()
                    .map(|(name, version)| Bound::exclusive((name.as_str(), *version))),
                None,
                Order::Ascending,
            )
            .take(page(limit))
            .map(|entry| entry.map(|(_, model)| model))
            .collect(),
    }
}
