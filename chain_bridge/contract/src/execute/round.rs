//! Rounds are submitted and settled.

use std::collections::BTreeSet;

use cosmwasm_std::{Binary, DepsMut, Env, MessageInfo, Response, Storage, Uint128};

use super::reward::credit_event;
use crate::books::{self, Pot};
use crate::checks;
use crate::division::{divide, scale};
use crate::error::ContractError;
use crate::lease::save_work;
use crate::msg::Share;
use crate::state::{Round, ACCOUNTS, CONFIG, NODES, PROGRESS, ROUNDS, WHOLE_BPS, WORK};

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
    job: u64,
    round: u32,
    outcome: Outcome,
) -> Result<Response, ContractError> {
    let config = CONFIG.load(deps.storage)?;
    checks::batch(&outcome.per_node, &config)?;
    let order = checks::job_of_owner(deps.storage, job, &info.sender)?;
    checks::not_closed(&order, job)?;
    checks::range("round", round, order.rounds)?;
    checks::not_submitted(deps.storage, job, round)?;
    checks::bytes("root", &outcome.root, ROOT_BYTES, ROOT_BYTES)?;
    checks::text("checkpoint", &outcome.checkpoint)?;
    checks::text("evidence", &outcome.evidence)?;
    checks::at_least_one("leaf_count", outcome.leaf_count == 0)?;
    let mut progress = PROGRESS.may_load(deps.storage, (job, round))?.unwrap_or_default();
    if progress.claimed {
        return Err(ContractError::RoundAbandoned { job, round });
    }
    check_counts(deps.storage, job, round, &outcome, progress.completed)?;
    check_bps(&outcome.per_node)?;

    progress.submission += 1;
    PROGRESS.save(deps.storage, (job, round), &progress)?;
    let now = env.block.time.seconds();
    let submitted = Round {
        submission: progress.submission,
        root: outcome.root,
        leaf_count: outcome.leaf_count,
        checkpoint: outcome.checkpoint,
        evidence: outcome.evidence,
        per_node: outcome
            .per_node
            .iter()
            .map(|share| (share.node, share.count, share.bps))
            .collect(),
        submitted_at: now,
        settle_from: now.saturating_add(config.challenge_seconds),
        settled_at: None,
        open: vec![],
        struck: vec![],
    };
    ROUNDS.save(deps.storage, (job, round), &submitted)?;
    Ok(response("submit_round", job, round, &submitted)
        .add_attribute("root", submitted.root.to_base64())
        .add_attribute("checkpoint", submitted.checkpoint)
        .add_attribute("evidence", submitted.evidence)
        .add_attribute("settle_from", submitted.settle_from.to_string()))
}

/// Whether exactly the nodes that completed tasks are listed, each with exactly what it completed.
fn check_counts(
    storage: &dyn Storage,
    job: u64,
    round: u32,
    outcome: &Outcome,
    completed: u32,
) -> Result<(), ContractError> {
    let mut listed = BTreeSet::new();
    let mut sum = 0u64;
    for &Share { node, count: found, .. } in &outcome.per_node {
        if !listed.insert(node) {
            return Err(ContractError::NodeListedTwice { node });
        }
        let expected =
            WORK.may_load(storage, (node, (job, round)))?.map_or(0, |work| work.completed);
        if found == 0 || found != expected {
            return Err(ContractError::WrongCount { node, expected, found });
        }
        sum += u64::from(found);
    }
    if sum != u64::from(outcome.leaf_count) {
        return Err(ContractError::WrongLeafCount { sum, leaf_count: outcome.leaf_count });
    }
    if sum != u64::from(completed) {
        return Err(ContractError::NodesMissing { sum, completed });
    }
    Ok(())
}

fn check_bps(shares: &[Share]) -> Result<(), ContractError> {
    let sum: u64 = shares.iter().map(|share| u64::from(share.bps)).sum();
    if sum != u64::from(WHOLE_BPS) {
        return Err(ContractError::WrongBps { sum, expected: WHOLE_BPS });
    }
    Ok(())
}

pub fn settle(deps: DepsMut, env: Env, job: u64, round: u32) -> Result<Response, ContractError> {
    let reward = checks::load_job(deps.storage, job)?.reward;
    let mut submitted = checks::unsettled(deps.storage, job, round)?;
    let now = env.block.time.seconds();
    let from = submitted.settle_from;
    if now < from {
        return Err(ContractError::WindowOpen { job, round, from, now });
    }
    if !submitted.open.is_empty() {
        return Err(ContractError::RoundChallenged { job, round, open: submitted.open.len() });
    }

    let pool = reward.checked_mul(Uint128::from(submitted.leaf_count))?;
    let mut credits = Vec::with_capacity(submitted.per_node.len());
    let mut events = vec![];
    let mut paid = Uint128::zero();
    for (node, amount) in earnings(&submitted, pool) {
        let mut work = WORK.may_load(deps.storage, (node, (job, round)))?.unwrap_or_default();
        work.completed = 0;
        save_work(deps.storage, node, job, round, &work)?;
        if amount.is_zero() {
            continue;
        }
        let owner = NODES.load(deps.storage, node)?.owner;
        paid = paid.checked_add(amount)?;
        events.push(credit_event(node, &owner, job, round, amount));
        credits.push((owner, amount));
    }
    let mut account = ACCOUNTS.load(deps.storage, job)?;
    account.spend(pool, paid)?;
    ACCOUNTS.save(deps.storage, job, &account)?;
    books::credit(deps.storage, Pot::Escrow, &credits)?;
    submitted.settled_at = Some(now);
    ROUNDS.save(deps.storage, (job, round), &submitted)?;
    Ok(response("settle", job, round, &submitted)
        .add_attribute("amount", paid)
        .add_attribute("withheld", pool.checked_sub(paid)?)
        .add_events(events))
}

/// What each node of a round gets of its pool: its share, less what falls on its struck tasks.
fn earnings(submitted: &Round, pool: Uint128) -> Vec<(u32, Uint128)> {
    let shares: Vec<(u32, u32)> =
        submitted.per_node.iter().map(|&(node, _, bps)| (node, bps)).collect();
    let amounts = divide(pool, &shares).into_iter();
    let earn = |(&(node, count, _), amount): (&(u32, u32, u32), Uint128)| {
        let struck = submitted.struck.iter().find(|struck| struck.0 == node).map_or(0, |it| it.1);
        (node, scale(amount, count.saturating_sub(struck), count))
    };
    submitted.per_node.iter().zip(amounts).map(earn).collect()
}

fn response(action: &str, job: u64, round: u32, submitted: &Round) -> Response {
    Response::new()
        .add_attribute("action", action)
        .add_attribute("job_id", job.to_string())
        .add_attribute("round", round.to_string())
        .add_attribute("leaf_count", submitted.leaf_count.to_string())
}
