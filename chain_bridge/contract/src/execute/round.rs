//! Rounds are submitted and settled.

use std::collections::BTreeSet;

use cosmwasm_std::{Binary, DepsMut, Env, MessageInfo, Response, Storage, Uint128};

use super::reward;
use crate::checks;
use crate::error::ContractError;
use crate::state::{Round, Share, CONFIG, DONE, JOBS, NODES, ROUNDS, TALLIES};

const ROOT_BYTES: usize = 32;

/// The outcome of a round, as the owner of its job states it.
pub struct Outcome {
    pub root: Binary,
    pub leaf_count: u32,
    pub checkpoint: String,
    pub evidence: String,
    pub per_node: Vec<Share>,
}

pub fn submit_round(
    deps: DepsMut,
    env: Env,
    info: MessageInfo,
    job_id: u64,
    round: u32,
    outcome: Outcome,
) -> Result<Response, ContractError> {
    checks::batch(&outcome.per_node, &CONFIG.load(deps.storage)?)?;
    let mut job = checks::open_job_of_owner(deps.storage, job_id, &info.sender)?;
    checks::range("round", round, job.rounds)?;
    if ROUNDS.has(deps.storage, (job_id, round)) {
        return Err(ContractError::RoundSubmitted { job: job_id, round });
    }
    if outcome.root.len() != ROOT_BYTES {
        return Err(ContractError::RootLength { found: outcome.root.len() });
    }
    checks::text("checkpoint", &outcome.checkpoint)?;
    checks::text("evidence", &outcome.evidence)?;
    checks::at_least_one("leaf_count", outcome.leaf_count == 0)?;
    check_shares(deps.storage, job_id, round, &outcome)?;

    let pay = job.reward.checked_mul(Uint128::from(outcome.leaf_count))?;
    let free = job.free()?;
    if pay > free {
        return Err(ContractError::EscrowSpent { job: job_id, found: free, expected: pay });
    }
    job.reserved = job.reserved.checked_add(pay)?;
    JOBS.save(deps.storage, job_id, &job)?;
    let submitted = Round {
        job: job_id,
        round,
        root: outcome.root,
        leaf_count: outcome.leaf_count,
        checkpoint: outcome.checkpoint,
        evidence: outcome.evidence,
        per_node: outcome.per_node,
        submitted_at: env.block.time.seconds(),
        settled_at: None,
    };
    ROUNDS.save(deps.storage, (job_id, round), &submitted)?;
    Ok(round_response("submit_round", &submitted)
        .add_attribute("root", submitted.root.to_base64())
        .add_attribute("checkpoint", submitted.checkpoint)
        .add_attribute("reserved", pay))
}

/// Whether exactly the nodes that completed tasks are listed, each with exactly what it completed.
fn check_shares(
    storage: &dyn Storage,
    job: u64,
    round: u32,
    outcome: &Outcome,
) -> Result<(), ContractError> {
    let mut listed = BTreeSet::new();
    let mut sum = 0u64;
    for Share { node, count } in &outcome.per_node {
        if !listed.insert(*node) {
            return Err(ContractError::NodeListedTwice { node: *node });
        }
        let expected = DONE.may_load(storage, (job, round, *node))?.unwrap_or(0);
        if *count == 0 || *count != expected {
            return Err(ContractError::WrongCount { node: *node, expected, found: *count });
        }
        sum += u64::from(*count);
    }
    if sum != u64::from(outcome.leaf_count) {
        return Err(ContractError::WrongLeafCount { sum, leaf_count: outcome.leaf_count });
    }
    let completed = TALLIES.may_load(storage, (job, round))?.unwrap_or_default().completed;
    if sum != u64::from(completed) {
        return Err(ContractError::NodesMissing { sum, completed });
    }
    Ok(())
}

pub fn settle(deps: DepsMut, env: Env, job_id: u64, round: u32) -> Result<Response, ContractError> {
    let mut job = checks::load_job(deps.storage, job_id)?;
    let mut submitted = ROUNDS
        .may_load(deps.storage, (job_id, round))?
        .ok_or(ContractError::RoundNotSubmitted { job: job_id, round })?;
    if let Some(at) = submitted.settled_at {
        return Err(ContractError::RoundSettled { job: job_id, round, at });
    }
    let now = env.block.time.seconds();
    let from = submitted.submitted_at.saturating_add(CONFIG.load(deps.storage)?.challenge_seconds);
    if now < from {
        return Err(ContractError::ChallengeOpen { job: job_id, round, from, now });
    }

    let mut amounts = Vec::with_capacity(submitted.per_node.len());
    for Share { node, count } in &submitted.per_node {
        let owner = NODES.load(deps.storage, *node)?.owner;
        amounts.push((owner, job.reward.checked_mul(Uint128::from(*count))?));
    }
    let pay = job.reward.checked_mul(Uint128::from(submitted.leaf_count))?;
    job.reserved = job.reserved.checked_sub(pay)?;
    job.paid = job.paid.checked_add(pay)?;
    JOBS.save(deps.storage, job_id, &job)?;
    reward::credit_from_escrow(deps.storage, &amounts)?;
    submitted.settled_at = Some(now);
    ROUNDS.save(deps.storage, (job_id, round), &submitted)?;
    Ok(round_response("settle", &submitted).add_attribute("paid", pay))
}

fn round_response(action: &str, round: &Round) -> Response {
    Response::new()
        .add_attribute("action", action)
        .add_attribute("job_id", round.job.to_string())
        .add_attribute("round", round.round.to_string())
        .add_attribute("leaf_count", round.leaf_count.to_string())
}
