//! The entry points: they check the frame of a message and pass it on.

#[cfg(not(feature = "library"))]
use cosmwasm_std::entry_point;
use cosmwasm_std::{to_json_binary, Binary, Deps, DepsMut, Env, MessageInfo, Response};
use cw_utils::nonpayable;
use semver::Version;

use crate::checks;
use crate::error::ContractError;
use crate::execute::{compute, health, job, model, reward, round, sharding};
use crate::msg::{ExecuteMsg, InstantiateMsg, MigrateMsg, QueryMsg};
use crate::query;
use crate::state::{Config, Model, Totals, CONFIG, LAST_JOB, LAST_NODE, ROUNDS, TOTALS};

pub const CONTRACT_NAME: &str = "atlas-pipelines";
pub const CONTRACT_VERSION: &str = env!("CARGO_PKG_VERSION");

const DEFAULT_BATCH: u32 = 200;
const MAX_BATCH: u32 = 1000;

#[cfg_attr(not(feature = "library"), entry_point)]
pub fn instantiate(
    deps: DepsMut,
    _env: Env,
    info: MessageInfo,
    msg: InstantiateMsg,
) -> Result<Response, ContractError> {
    nonpayable(&info)?;
    let config = Config {
        denom: msg.denom,
        min_stake: msg.min_stake,
        heartbeat_seconds: msg.heartbeat_seconds,
        challenge_seconds: msg.challenge_seconds,
        max_batch: msg.max_batch.unwrap_or(DEFAULT_BATCH),
    };
    checks::text("denom", &config.denom)?;
    checks::at_least_one("heartbeat_seconds", config.heartbeat_seconds == 0)?;
    checks::range("max_batch", config.max_batch, MAX_BATCH)?;
    cw2::set_contract_version(deps.storage, CONTRACT_NAME, CONTRACT_VERSION)?;
    cw_ownable::initialize_owner(deps.storage, deps.api, Some(info.sender.as_str()))?;
    CONFIG.save(deps.storage, &config)?;
    TOTALS.save(deps.storage, &Totals::default())?;
    LAST_NODE.save(deps.storage, &0)?;
    LAST_JOB.save(deps.storage, &0)?;
    Ok(Response::new().add_attribute("action", "instantiate").add_attribute("owner", info.sender))
}

#[cfg_attr(not(feature = "library"), entry_point)]
pub fn execute(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    msg: ExecuteMsg,
) -> Result<Response, ContractError> {
    use ExecuteMsg::*;
    if !matches!(msg, RegisterNode { .. } | CreateJob { .. }) {
        nonpayable(&info)?;
    }
    match msg {
        RegisterNode { kind, capacity, manifest } => {
            compute::register_node(deps, env, info, kind, capacity, manifest)
        }
        UpdateNode { capacity, manifest } => compute::update_node(deps, info, capacity, manifest),
        Heartbeat {} => health::heartbeat(deps, env, info),
        CreateJob { key, spec, dataset, shards, rounds, reward, lease_seconds } => {
            let order = job::Order { key, spec, dataset, shards, rounds, reward, lease_seconds };
            job::create_job(deps, info, order)
        }
        AssignBatch { job, round, items } => {
            sharding::assign_batch(deps, env, info, job, round, items)
        }
        CompleteBatch { job, round, items } => {
            sharding::complete_batch(deps, info, job, round, items)
        }
        ReleaseBatch { job, round, items } => {
            sharding::release_batch(deps, info, job, round, items)
        }
        ExpireLeases { job, round, limit, start_after_slot } => {
            health::expire_leases(deps, env, job, round, limit, start_after_slot)
        }
        SubmitRound { job, round, root, leaf_count, checkpoint, evidence, per_node } => {
            let outcome = round::Outcome { root, leaf_count, checkpoint, evidence, per_node };
            round::submit_round(deps, env, info, job, round, outcome)
        }
        Settle { job, round } => round::settle(deps, env, job, round),
        CloseJob { job } => job::close_job(deps, info, job),
        Withdraw {} => reward::withdraw(deps, info),
        RegisterModel { name, version, cid, job, parent } => {
            model::register_model(deps, info, Model { name, version, cid, job, parent })
        }
        UpdateOwnership(action) => {
            let ownership = cw_ownable::update_ownership(deps, &env.block, &info.sender, action)?;
            Ok(Response::new()
                .add_attribute("action", "update_ownership")
                .add_attributes(ownership.into_attributes()))
        }
    }
}

#[cfg_attr(not(feature = "library"), entry_point)]
pub fn query(deps: Deps, env: Env, msg: QueryMsg) -> Result<Binary, ContractError> {
    use QueryMsg::*;
    let answer = match msg {
        Config {} => to_json_binary(&CONFIG.load(deps.storage)?),
        Node { id } => to_json_binary(&query::node(deps, id)?),
        NodeOf { owner } => to_json_binary(&query::node_of(deps, &owner)?),
        Nodes { start_after, limit } => to_json_binary(&query::nodes(deps, start_after, limit)?),
        Job { id } => to_json_binary(&checks::load_job(deps.storage, id)?),
        JobOf { owner, key } => to_json_binary(&query::job_of(deps, &owner, &key)?),
        Jobs { start_after, limit } => to_json_binary(&query::jobs(deps, start_after, limit)?),
        Lease { job, round, slot } => to_json_binary(&query::lease(deps, env, (job, round, slot))?),
        Leases { job, round, start_after, limit } => {
            to_json_binary(&query::leases(deps, env, job, round, start_after, limit)?)
        }
        LeasesOfNode { node, start_after, limit } => {
            to_json_binary(&query::leases_of_node(deps, env, node, start_after, limit)?)
        }
        Round { job, round } => to_json_binary(&ROUNDS.may_load(deps.storage, (job, round))?),
        Credit { address } => to_json_binary(&query::credit(deps, &address)?),
        Totals {} => to_json_binary(&TOTALS.load(deps.storage)?),
        Model { name, version } => to_json_binary(&query::model(deps, name, version)?),
        Models { name, start_after, limit } => {
            to_json_binary(&query::models(deps, name, start_after, limit)?)
        }
        Ownership {} => to_json_binary(&cw_ownable::get_ownership(deps.storage)?),
    };
    Ok(answer?)
}

#[cfg_attr(not(feature = "library"), entry_point)]
pub fn migrate(deps: DepsMut, _env: Env, _msg: MigrateMsg) -> Result<Response, ContractError> {
    let stored = cw2::get_contract_version(deps.storage)?;
    if stored.contract != CONTRACT_NAME {
        return Err(ContractError::WrongContract {
            expected: CONTRACT_NAME,
            found: stored.contract,
        });
    }
    if parse_version(&stored.version)? >= parse_version(CONTRACT_VERSION)? {
        return Err(ContractError::NotNewer { stored: stored.version, new: CONTRACT_VERSION });
    }
    cw2::set_contract_version(deps.storage, CONTRACT_NAME, CONTRACT_VERSION)?;
    Ok(Response::new()
        .add_attribute("action", "migrate")
        .add_attribute("from", stored.version)
        .add_attribute("to", CONTRACT_VERSION))
}

fn parse_version(version: &str) -> Result<Version, ContractError> {
    Version::parse(version).map_err(|error| ContractError::BadVersion {
        version: version.to_string(),
        reason: error.to_string(),
    })
}
