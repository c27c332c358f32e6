//! The entry points: they check the frame of a message and pass it on.

#[cfg(not(feature = "library"))]
use cosmwasm_std::entry_point;
use cosmwasm_std::{Binary, Deps, DepsMut, Env, MessageInfo, Response};
use cw_utils::nonpayable;
use semver::Version;

use crate::error::ContractError;
use crate::execute::{
    admin, challenge, compute, health, job, model, recovery, reward, round, sharding, storage,
    verdict,
};
use crate::msg::{ExecuteMsg, InstantiateMsg, MigrateMsg, QueryMsg};
use crate::query;
use crate::state::{Model, ModelStatus, Totals, CONFIG, LAST_JOB, LAST_NODE, PAUSED, TOTALS};

pub const CONTRACT_NAME: &str = "atlas-pipelines";
pub const CONTRACT_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What versions before this one stored has another layout.
const FIRST_OF_LAYOUT: Version = Version::new(0, 2, 0);

#[cfg_attr(not(feature = "library"), entry_point)]
pub fn instantiate(
    deps: DepsMut,
    _env: Env,
    info: MessageInfo,
    msg: InstantiateMsg,
) -> Result<Response, ContractError> {
    nonpayable(&info)?;
    let config = admin::first_config(msg)?;
    cw2::set_contract_version(deps.storage, CONTRACT_NAME, CONTRACT_VERSION)?;
    cw_ownable::initialize_owner(deps.storage, deps.api, Some(info.sender.as_str()))?;
    CONFIG.save(deps.storage, &config)?;
    PAUSED.save(deps.storage, &false)?;
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
    if !takes_funds(&msg) {
        nonpayable(&info)?;
    }
    if !works_while_paused(&msg) && PAUSED.load(deps.storage)? {
        return Err(ContractError::Paused);
    }
    dispatch(deps, env, info, msg)
}

fn takes_funds(msg: &ExecuteMsg) -> bool {
    use ExecuteMsg::*;
    matches!(
        msg,
        RegisterNode { .. }
            | AddStake {}
            | Unjail {}
            | CreateJob { .. }
            | TopUp { .. }
            | Challenge { .. }
    )
}

fn works_while_paused(msg: &ExecuteMsg) -> bool {
    use ExecuteMsg::*;
    matches!(
        msg,
        Heartbeat {}
            | HeartbeatBatch { .. }
            | ReleaseBatch { .. }
            | ExpireLeases { .. }
            | ClaimStake {}
            | Withdraw {}
            | WithdrawFor { .. }
            | UpdateOwnership(_)
            | Pause { .. }
            | UpdateConfig { .. }
    )
}

fn dispatch(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    msg: ExecuteMsg,
) -> Result<Response, ContractError> {
    use ExecuteMsg::*;
    match msg {
        RegisterNode { kind, capacity, manifest, public_key } => {
            let description = compute::Description { kind, capacity, manifest, public_key };
            compute::register_node(deps, env, info, description)
        }
        UpdateNode { capacity, manifest, public_key } => {
            compute::update_node(deps, info, capacity, manifest, public_key)
        }
        AddStake {} => compute::add_stake(deps, info),
        WithdrawStake { amount } => compute::withdraw_stake(deps, env, info, amount),
        ClaimStake {} => compute::claim_stake(deps, env, info),
        DeregisterNode {} => compute::deregister_node(deps, env, info),
        Unjail {} => compute::unjail(deps, env, info),

        Heartbeat {} => health::heartbeat(deps, env, info),
        HeartbeatBatch { beats } => health::heartbeat_batch(deps, env, beats),

        CreateJob { key, spec, dataset, shards, rounds, reward, lease_seconds } => {
            let order = job::Order { key, spec, dataset, shards, rounds, reward, lease_seconds };
            job::create_job(deps, info, order)
        }
        TopUp { job, key } => job::top_up(deps, info, job, key),
        CancelJob { job } => job::cancel_job(deps, info, job),
        CloseJob { job } => job::close_job(deps, info, job),

        AssignBatch { job, round, plan, items } => {
            let wanted = sharding::Assignment { job, round, plan, items, again: false };
            sharding::assign_batch(deps, env, info, wanted)
        }
        ReassignBatch { job, round, plan, items } => {
            let wanted = sharding::Assignment { job, round, plan, items, again: true };
            sharding::assign_batch(deps, env, info, wanted)
        }
        CompleteBatch { job, round, items } => {
            sharding::complete_batch(deps, env, info, job, round, items)
        }
        ReleaseBatch { job, round, items } => {
            sharding::release_batch(deps, env, info, job, round, items)
        }

        ExpireLeases { job, round, limit, start_after_slot } => {
            recovery::expire_leases(deps, env, job, round, limit, start_after_slot)
        }
        RollbackRound { job, round } => recovery::rollback_round(deps, info, job, round),
        ClaimAbandoned { job, round } => recovery::claim_abandoned(deps, env, info, job, round),

        SubmitRound { job, round, root, leaf_count, checkpoint, evidence, per_node } => {
            let outcome = round::Outcome { root, leaf_count, checkpoint, evidence, per_node };
            round::submit_round(deps, env, info, job, round, outcome)
        }
        Challenge { job, round, index, leaf, proof, evidence } => {
            let dispute = challenge::Dispute { job, round, index, leaf, proof, evidence };
            challenge::challenge(deps, env, info, dispute)
        }
        ResolveChallenge { job, round, index, upheld } => {
            verdict::resolve_challenge(deps, env, info, job, round, index, upheld)
        }
        DismissChallenge { job, round, index } => {
            verdict::dismiss_challenge(deps, env, job, round, index)
        }
        Settle { job, round } => round::settle(deps, env, job, round),
        Withdraw {} => reward::withdraw(deps, info),
        WithdrawFor { addresses } => reward::withdraw_for(deps, addresses),

        AnnounceStorage { cids } => storage::announce_storage(deps, env, info, cids),
        DropStorage { cids } => storage::drop_storage(deps, env, info, cids),
        OpenAudit { cid, node, nonce, answer_hash } => {
            storage::open_audit(deps, env, info, cid, node, nonce, answer_hash)
        }
        AnswerAudit { cid, answer } => storage::answer_audit(deps, env, info, cid, answer),
        ExpireAudit { cid, node } => storage::expire_audit(deps, env, cid, node),

        RegisterModel { name, version, cid, job, parent, metrics } => {
            let status = ModelStatus::Registered;
            let model = Model { name, version, cid, job, parent, metrics, status };
            model::register_model(deps, info, model)
        }
        PromoteModel { name, version } => model::promote_model(deps, info, name, version),
        DeprecateModel { name, version } => model::deprecate_model(deps, info, name, version),

        UpdateConfig { change } => admin::update_config(deps, info, change),
        Pause { paused } => admin::pause(deps, info, paused),
        WithdrawTreasury { to, amount } => admin::withdraw_treasury(deps, info, to, amount),
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
    query::answer(deps, env, msg)
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
    let version = parse_version(&stored.version)?;
    if version < FIRST_OF_LAYOUT {
        return Err(ContractError::OldLayout { stored: stored.version });
    }
    if version >= parse_version(CONTRACT_VERSION)? {
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
